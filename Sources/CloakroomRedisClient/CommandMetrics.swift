import Metrics
import NIOCore

/// Times commands, by their names: of those that the client knows, so that the series are bounded.
struct CommandMetrics: Sendable {
    private struct Pair: Sendable {
        let duration: Timer
        let errors: Counter

        init(_ command: String) {
            duration = Timer(label: "cloakroom_redis_command_duration_seconds", dimensions: [("command", command)])
            errors = Counter(label: "cloakroom_redis_command_errors_total", dimensions: [("command", command)])
        }
    }

    private static let names = [
        "CLIENT", "CLUSTER", "CONFIG", "DBSIZE", "EVALSHA", "EXISTS", "GET", "GETDEL", "INFO", "MGET", "MULTI",
        "PEXPIRE",
        "PING", "PTTL", "SCAN", "SET", "STRLEN", "TIME", "UNLINK", "WAIT", "ZADD", "ZCARD", "ZCOUNT", "ZRANGE", "ZREM",
        "ZREMRANGEBYSCORE",
    ]

    private let known: [String: Pair]
    private let other = Pair("other")

    init() { known = Dictionary(uniqueKeysWithValues: Self.names.map { ($0, Pair($0)) }) }

    /// Notes one command or one group, by the name of its first.
    ///
    /// - Parameter began: when it was handed to the client.
    func note(_ command: RedisCommand, since began: NIODeadline, failed: Bool) {
        let pair = known["\(command.name)"] ?? other
        pair.duration.recordNanoseconds((NIODeadline.now() - began).nanoseconds)
        if failed { pair.errors.increment() }
    }
}
