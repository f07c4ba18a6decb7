import CloakroomRedisClient
import Logging
import NIOCore

/// Our client's GET and SET beside `redis-benchmark`, on the same server and in the same run.
struct RedisClientBenchmark {
    static let keyCount = 1000
    static let taskCounts = [1, 8, 64, 256]

    let url: String
    let benchmarkProgram: RedisBenchmarkProgram

    func run() async throws {
        let client = RedisClient(
            configuration: RedisClientConfiguration(url: try RedisURL(url)),
            logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            try await measure(client)
            client.shutDown()
        }
    }

    /// GET at 64 tasks for ten seconds and nothing else, for a profiler to look at.
    static func load(url: String, connections: Int) async throws {
        var configuration = RedisClientConfiguration(url: try RedisURL(url))
        configuration.connections = connections
        let client = RedisClient(
            configuration: configuration,
            logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            let value = ByteBuffer(repeating: UInt8(ascii: "x"), count: 2048)
            let keys = (0..<keyCount).map { "bench:client:\($0)" }
            for key in keys { _ = try await client.send(.set(key, .buffer(value), milliseconds: 600_000)) }
            let measured = try await rate(tasks: 64, rounds: 3, seconds: 0.5) { number in
                try await get(client, keys[abs(number) % keyCount], value)
            }
            print("GET at 64 tasks: \(measured.perSecond)")
            client.shutDown()
        }
    }

    private func measure(_ client: RedisClient) async throws {
        let value = ByteBuffer(repeating: UInt8(ascii: "x"), count: 2048)
        let keys = (0..<Self.keyCount).map { "bench:client:\($0)" }
        for key in keys { _ = try await client.send(.set(key, .buffer(value), milliseconds: 600_000)) }

        // Ours between two runs of redis-benchmark: the machine's speed drifts, and so is seen.
        let before = try benchmarkProgram.rates(url: url)
        print("client, 2 KiB values      " + Self.taskCounts.map { column("\($0) tasks", 11) }.joined())
        var get64 = 0.0
        for (name, body) in [("GET", Self.get), ("SET", Self.set)] {
            var line = column("cloakroom " + name, 24) + "  "
            for tasks in Self.taskCounts {
                let measured = try await rate(tasks: tasks) { number in
                    try await body(client, keys[abs(number) % Self.keyCount], value)
                }
                if name == "GET", tasks == 64 { get64 = measured }
                line += column(measured.perSecond, 11)
            }
            print(line)
        }
        let after = try benchmarkProgram.rates(url: url)
        print(
            "redis-benchmark GET -c 1 -P 64   \(before.pipelined.perSecond) before, \(after.pipelined.perSecond) after")
        print("redis-benchmark GET -c 64 -P 1   \(before.parallel.perSecond) before, \(after.parallel.perSecond) after")
        let pipelined = (before.pipelined + after.pipelined) / 2
        let parallel = (before.parallel + after.parallel) / 2
        print("GET at 64 tasks / redis-benchmark -c 1 -P 64:  \((get64 / pipelined).ratio)   (wanted: 0.7)")
        print("GET at 64 tasks / redis-benchmark -c 64 -P 1:  \((get64 / parallel).ratio)")
    }

    private static let get: @Sendable (RedisClient, String, ByteBuffer) async throws -> Void = { client, key, _ in
        guard case .bulk(let value) = try await client.send(.get(key)), value.readableBytes == 2048 else {
            throw BenchmarkError.wrongReply
        }
    }

    private static let set: @Sendable (RedisClient, String, ByteBuffer) async throws -> Void = { client, key, value in
        _ = try await client.send(.set(key, .buffer(value), milliseconds: 600_000))
    }
}

enum BenchmarkError: Error {
    case wrongReply
    case noFigure(String)
}
