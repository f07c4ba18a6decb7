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
    static func load(url: String, connections: Int, onEventLoops: Bool) async throws {
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
            let executors = onEventLoops ? client.taskExecutors : []
            let measured = try await rate(tasks: 64, rounds: 3, seconds: 0.5, on: executors) { number in
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

        // Ours and redis-benchmark in turn: the machine's speed drifts, and so is seen and evened out.
        var theirs = [try benchmarkProgram.rates(url: url)]
        print("client, 2 KiB values           " + Self.taskCounts.map { column("\($0) tasks", 11) }.joined())
        var figures: [String: Double] = [:]
        for (name, executors) in [("", []), (" on event loops", client.taskExecutors)] as [(String, [any TaskExecutor])]
        {
            for (command, body) in [("GET", Self.get), ("SET", Self.set)] {
                var line = column(command + name, 29) + "  "
                for tasks in Self.taskCounts {
                    let measured = try await rate(tasks: tasks, on: executors) { number in
                        try await body(client, keys[abs(number) % Self.keyCount], value)
                    }
                    if command == "GET", tasks == 64 { figures[name] = measured }
                    line += column(measured.perSecond, 11)
                }
                print(line)
                theirs.append(try benchmarkProgram.rates(url: url))
            }
        }
        report(theirs.map(\.pipelined), "-c 1 -P 64", figures, goal: "   (wanted: 0.9)")
        report(theirs.map(\.parallel), "-c 64 -P 1", figures)
    }

    private func report(_ rates: [Double], _ options: String, _ figures: [String: Double], goal: String = "") {
        let median = rates.sorted()[rates.count / 2]
        print(
            "redis-benchmark GET \(options): \(rates.map(\.perSecond).joined(separator: ", ")); median \(median.perSecond)"
        )
        for (name, figure) in figures.sorted(by: { $0.key < $1.key }) {
            print("  GET at 64 tasks\(name) / that: \((figure / median).ratio)\(goal)")
        }
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
