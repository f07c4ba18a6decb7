import CloakroomRedisClient
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

extension Integration {
    @Suite struct RedisClientTests {
        private func withClient<Result: Sendable>(
            on url: String, timeout: Duration = .seconds(10), _ body: @Sendable (RedisClient) async throws -> Result
        ) async throws -> Result {
            var configuration = RedisClientConfiguration(url: try RedisURL(url))
            configuration.commandTimeout = timeout
            let client = RedisClient(configuration: configuration, logger: silent)
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await client.run() }
                let result = try await body(client)
                client.shutDown()
                return result
            }
        }

        private func text(_ reply: RESPValue) -> String? {
            if case .bulk(let buffer) = reply { String(buffer: buffer) } else { nil }
        }

        @Test("of 20,000 calls by 64 tasks each gets its own reply, small and large, alone and in pipelines")
        func ownReplies() async throws {
            try await RedisServer.run { server in
                try await withClient(on: server.url) { client in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for task in 0..<64 {
                            group.addTask {
                                for call in 0..<150 {
                                    let key = "k\(task)"
                                    let value =
                                        "\(task)-\(call)-"
                                        + String(repeating: "v", count: call % 7 == 0 ? 70_000 : call)
                                    _ = try await client.send(.set(key, .text(value), milliseconds: 60_000))
                                    #expect(text(try await client.send(.get(key))) == value)
                                    let replies = try await client.send(pipeline: [.get(key), .ping, .get("none")])
                                    #expect(
                                        replies == [.bulk(ByteBuffer(string: value)), .simpleString("PONG"), .null])
                                }
                            }
                        }
                        try await group.waitForAll()
                    }
                }
            }
        }

        /// The client's connections, as the server numbers them.
        private func connections(of server: RedisServer) throws -> Set<Substring> {
            let lines = try server.cli("CLIENT", "LIST", "TYPE", "normal").split(separator: "\n")
            return Set(lines.filter { $0.contains("name=cloakroom") }.compactMap { $0.split(separator: " ").first })
        }

        @Test("1,000 cancelled calls: the connections survive, and every other reply reaches its own caller")
        func cancellation() async throws {
            try await RedisServer.run { server in
                try await withClient(on: server.url) { client in
                    for number in 0..<100 {
                        _ = try await client.send(.set("k\(number)", .text("value \(number)"), milliseconds: 600_000))
                    }
                    try await eventually("both are up") { try connections(of: server).count == 2 }
                    let before = try connections(of: server)
                    let cancelled = Counter()
                    let answered = Counter()
                    for round in 0..<20 {
                        await withThrowingTaskGroup(of: Void.self) { group in
                            for number in 0..<100 {
                                let call = Task {
                                    let reply = try await client.send(.get("k\(number)"))
                                    #expect(text(reply) == "value \(number)")
                                }
                                // Half of the calls are cancelled, some before they began, some in flight, some too late.
                                if number.isMultiple(of: 2) {
                                    group.addTask {
                                        for _ in 0..<((number + round) % 8) { await Task.yield() }
                                        call.cancel()
                                    }
                                }
                                group.addTask {
                                    switch await call.result {
                                    case .success: answered.increment()
                                    case .failure(let error):
                                        #expect(error is CancellationError && number.isMultiple(of: 2))
                                        cancelled.increment()
                                    }
                                }
                            }
                        }
                    }
                    #expect(answered.value + cancelled.value == 2000)
                    #expect(answered.value >= 1000)
                    #expect(cancelled.value > 0)
                    let after = try connections(of: server)
                    #expect(after == before && after.count == 2, "they are still the same connections")
                }
            }
        }

        @Test(
            "1,000 calls cancelled while Redis is stopped in its tracks: each ends at once, and the others get theirs")
        func cancellationInFlight() async throws {
            try await RedisServer.run { server in
                try await withClient(on: server.url) { client in
                    for number in 0..<10 {
                        _ = try await client.send(.set("k\(number)", .text("value \(number)"), milliseconds: 600_000))
                    }
                    server.pause()
                    let cancelled = (0..<1000).map { _ in Task { try await client.send(.get("k0")) } }
                    let kept = (0..<10).map { number in Task { try await client.send(.get("k\(number)")) } }
                    for call in cancelled { call.cancel() }
                    for call in cancelled {
                        await #expect(throws: CancellationError.self) { try await call.value }
                    }
                    server.resume()
                    for (number, call) in kept.enumerated() { #expect(text(try await call.value) == "value \(number)") }
                }
            }
        }

        @Test(
            "commands in flight when the server is killed: idempotent ones are sent once more, others say that they may have run"
        )
        func retry() async throws {
            try await RedisServer.run(["--appendonly", "yes"]) { server in
                try await withClient(on: server.url) { client in
                    _ = try await client.send(.set("k", .text("v"), milliseconds: 600_000))
                    server.pause()
                    let idempotent = Task { try await client.send(.get("k")) }
                    let other = Task { try await client.send(.getAndDelete("k")) }
                    try await eventually("both commands were sent") { await client.inFlightCount() == 2 }
                    server.kill()
                    try await server.start()
                    #expect(text(try await idempotent.value) == "v")
                    let error = await #expect(throws: RedisClientError.self) { try await other.value }
                    #expect(error?.code == .connectionLost)
                }
            }
        }

        @Test("shutting down waits for the replies to what was sent, and refuses the rest")
        func shutDown() async throws {
            try await RedisServer.run { server in
                try await withClient(on: server.url) { client in
                    _ = try await client.send(.set("k", .text("v"), milliseconds: 600_000))
                    server.pause()
                    let calls = (0..<100).map { _ in Task { try await client.send(.get("k")) } }
                    try await eventually("all were sent") { await client.inFlightCount() == 100 }
                    client.shutDown()
                    await #expect(throws: RedisClientError.self) { try await client.send(.ping) }
                    server.resume()
                    for call in calls { #expect(text(try await call.value) == "v") }
                }
            }
        }

        @Test("while one of the two connections is away, all callers use the other")
        func oneConnectionAway() async throws {
            try await RedisServer.run { server in
                try await withClient(on: server.url, timeout: .milliseconds(500)) { client in
                    try await eventually("both are up") { try connections(of: server).count == 2 }
                    // One of the two throws the other out, and no further one is let in.
                    let own = try await client.send(RedisCommand("CLIENT", [.text("ID")], isIdempotent: true))
                    guard case .number(let ownID) = own else { throw Failure("CLIENT ID answers a number") }
                    let other = try #require(
                        try connections(of: server).map { $0.dropFirst("id=".count) }.first { $0 != "\(ownID)" })
                    _ = try await client.send(
                        RedisCommand("CONFIG", [.text("SET"), .text("maxclients"), .text("1")], isIdempotent: true))
                    _ = try await client.send(
                        RedisCommand("CLIENT", [.text("KILL"), .text("ID"), .text(String(other))], isIdempotent: true))
                    // For longer than a caller would wait for the favourite.
                    let end = ContinuousClock.now + .seconds(1)
                    while ContinuousClock.now < end {
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            for _ in 0..<8 { group.addTask { _ = try await client.send(.ping) } }
                            try await group.waitForAll()
                        }
                    }
                }
            }
        }
    }
}
