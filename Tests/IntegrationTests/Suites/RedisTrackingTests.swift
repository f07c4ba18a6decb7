import CloakroomRedisClient
import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing

/// Keeps what was read until a change of it is reported.
private final class CopyKeeper: InvalidationObserver {
    private struct State {
        var copies: [String: Int] = [:]
        /// How often each key was reported: a reply that was on its way meanwhile may be older than the report.
        var reports: [String: Int] = [:]
        var losses = 0
        var invalidatedCount = 0
        var allCount = 0
        var confirmed: NIODeadline?
        var confirmedCount = 0
    }

    /// What must be the same before a read and after it, so that it may be kept.
    struct Ticket: Equatable {
        let reports: Int
        let losses: Int
    }

    private let state = Mutex(State())

    func invalidated(_ keys: [ByteBuffer]?) {
        state.withLock { state in
            guard let keys else {
                state.copies = [:]
                state.losses += 1
                state.allCount += 1
                return
            }
            for key in keys {
                let key = String(buffer: key)
                state.copies[key] = nil
                state.reports[key, default: 0] += 1
                state.invalidatedCount += 1
            }
        }
    }

    func trackingInterrupted() {
        state.withLock { state in
            state.copies = [:]
            state.losses += 1
            state.confirmed = nil
        }
    }

    func trackingConfirmed(until deadline: NIODeadline) {
        state.withLock { state in
            state.confirmed = deadline
            state.confirmedCount += 1
        }
    }

    func ticket(for key: String) -> Ticket {
        state.withLock { Ticket(reports: $0.reports[key] ?? 0, losses: $0.losses) }
    }

    func keep(_ value: Int, for key: String, _ ticket: Ticket) {
        state.withLock { state in
            if ticket == Ticket(reports: state.reports[key] ?? 0, losses: state.losses) { state.copies[key] = value }
        }
    }

    func copy(of key: String) -> Int? { state.withLock { $0.copies[key] } }
    var copies: [String: Int] { state.withLock { $0.copies } }
    var invalidatedCount: Int { state.withLock { $0.invalidatedCount } }
    var allCount: Int { state.withLock { $0.allCount } }
    var losses: Int { state.withLock { $0.losses } }
    var confirmed: NIODeadline? { state.withLock { $0.confirmed } }
    var confirmedCount: Int { state.withLock { $0.confirmedCount } }
    /// Whether copies may be believed now.
    var isTrusted: Bool { confirmed.map { .now() < $0 } ?? false }
}

/// How far the writer of a race is.
private final class WriterProgress: Sendable {
    let isDone = Atomic<Bool>(false)
    private let values = Mutex<[String: Int]>([:])

    func acknowledge(_ value: Int, _ key: String) { values.withLock { $0[key] = value } }
    func acknowledged(_ key: String) -> Int { values.withLock { $0[key] ?? 0 } }
}

extension Integration {
    /// R20: no copy outlives what it is a copy of, or the proof that it would have been told.
    @Suite struct RedisTrackingTests {
        private func withClient<Result: Sendable>(
            _ url: String, _ observer: CopyKeeper?, tls: RedisTLSConfiguration = RedisTLSConfiguration(),
            timeout: Duration = .seconds(10), log: RecordingLog = RecordingLog(),
            _ body: @Sendable (RedisClient) async throws -> Result
        ) async throws -> Result {
            var configuration = RedisClientConfiguration(url: try RedisURL(url))
            configuration.tls = tls
            configuration.commandTimeout = timeout
            configuration.invalidationObserver = observer
            let client = RedisClient(configuration: configuration, logger: log.logger)
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await client.run() }
                let result = try await body(client)
                client.shutDown()
                return result
            }
        }

        private func read(_ key: String, _ client: RedisClient) async throws -> Int? {
            guard case .bulk(let bytes) = try await client.send(.get(key)) else { return nil }
            return Int(String(buffer: bytes))
        }

        private func write(_ value: Int, _ key: String, _ client: RedisClient) async throws {
            _ = try await client.send(.set(key, .text("\(value)"), milliseconds: 600_000))
        }

        @Test("a change is reported before the reply to any later command")
        func reportedBeforeReply() async throws {
            try await RedisServer.run { server in
                let keeper = CopyKeeper()
                try await withClient(server.url, nil) { writer in
                    try await withClient(server.url, keeper) { client in
                        for round in 1...500 {
                            _ = try await read("k", client)
                            try await write(round, "k", writer)
                            // The same task takes the same connection.
                            _ = try await client.send(.ping)
                            #expect(keeper.invalidatedCount == round)
                        }
                    }
                }
            }
        }

        @Test(
            "10,000 writes by another client, reads over two connections: no copy is older than a write acknowledged before a read"
        )
        func coherence() async throws {
            try await RedisServer.run { server in try await race(server.url, RedisTLSConfiguration(), writes: 10_000) }
        }

        @Test("the same over TLS")
        func coherenceWithTLS() async throws {
            try await TestCertificates.run { certificates in
                try await RedisServer.run(certificates) { server in
                    try await race(server.urlWithTLS, certificates.options(), writes: 2000)
                }
            }
        }

        private func race(_ url: String, _ tls: RedisTLSConfiguration, writes: Int) async throws {
            let keeper = CopyKeeper()
            let progress = WriterProgress()
            let (hits, reads) = (Counter(), Counter())
            var configuration = RedisClientConfiguration(url: try RedisURL(url))
            configuration.tls = tls
            configuration.connections = 1
            let writer = RedisClient(configuration: configuration, logger: silent)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await writer.run() }
                try await withClient(url, keeper, tls: tls) { client in
                    let executors = client.taskExecutors
                    #expect(executors.count == 2)
                    // Each connection has keys of its own, so that the order of reports and replies means something.
                    let keys = executors.indices.map { connection in (0..<8).map { "k\(connection)-\($0)" } }
                    try await eventually("both connections are up") { keeper.isTrusted }
                    try await withThrowingTaskGroup(of: Void.self) { readers in
                        for (index, executor) in executors.enumerated() {
                            for _ in 0..<4 {
                                readers.addTask(executorPreference: executor) {
                                    while !progress.isDone.load(ordering: .relaxed) {
                                        let key = keys[index].randomElement() ?? ""
                                        let floor = progress.acknowledged(key)
                                        if Bool.random(), keeper.copy(of: key) != nil {
                                            // Any command's reply shows what was acknowledged before.
                                            _ = try await client.send(.ping)
                                            hits.increment()
                                        } else {
                                            let ticket = keeper.ticket(for: key)
                                            let value = try await read(key, client) ?? 0
                                            #expect(value >= floor)
                                            keeper.keep(value, for: key, ticket)
                                            reads.increment()
                                        }
                                        if let copy = keeper.copy(of: key) { #expect(copy >= floor) }
                                    }
                                }
                            }
                        }
                        for value in 1...writes {
                            let key = keys[value % 2].randomElement() ?? ""
                            try await write(value, key, writer)
                            progress.acknowledge(value, key)
                        }
                        progress.isDone.store(true, ordering: .relaxed)
                        try await readers.waitForAll()
                    }
                    for executor in executors {
                        try await withTaskExecutorPreference(executor) { _ = try await client.send(.ping) }
                    }
                    #expect(!keeper.copies.isEmpty && hits.value > 0 && reads.value > writes / 10)
                    #expect(keeper.losses == 0)
                    for (key, copy) in keeper.copies { #expect(copy == (try await read(key, client) ?? 0)) }
                }
                group.cancelAll()
            }
        }

        @Test("FLUSHALL is a change of all keys")
        func flush() async throws {
            try await RedisServer.run { server in
                let keeper = CopyKeeper()
                try await withClient(server.url, keeper) { client in
                    try await write(1, "k", client)
                    _ = try await read("k", client)
                    try server.cli("FLUSHALL")
                    try await eventually("it is reported") { keeper.allCount > 0 }
                }
            }
        }

        @Test("idle connections are confirmed again and again; a server that hangs is trusted no longer than it may be")
        func hangs() async throws {
            try await RedisServer.run { server in
                let keeper = CopyKeeper()
                try await withClient(server.url, keeper, timeout: .seconds(10)) { client in
                    let trust = TimeAmount.seconds(1)
                    try await eventually("trusted") { keeper.isTrusted }
                    let before = keeper.confirmedCount
                    try await eventually("without a command from anyone") { keeper.confirmedCount >= before + 5 }
                    #expect(keeper.losses == 0)
                    server.pause()
                    let paused = NIODeadline.now()
                    try await eventually("the trust runs out", within: .seconds(5)) { !keeper.isTrusted }
                    // Looked at by the clock of the trust itself: what matters is when it ends, not when we look.
                    #expect(keeper.confirmed.map { $0 <= paused + trust + .milliseconds(250) } == true)
                    let count = keeper.confirmedCount
                    try await Task.sleep(for: .milliseconds(400))
                    #expect(keeper.confirmedCount == count && !keeper.isTrusted)
                    #expect(keeper.losses == 0, "the connections are still there")
                    server.resume()
                    try await eventually("trusted again") { keeper.isTrusted }
                    _ = try await client.send(.ping)
                }
            }
        }

        @Test("a half-open connection is found by its own PING, without a command from anyone")
        func halfOpen() async throws {
            try await RedisServer.run { server in
                let keeper = CopyKeeper()
                try await withClient(server.url, keeper, timeout: .milliseconds(400)) { _ in
                    try await eventually("trusted") { keeper.isTrusted }
                    server.pause()
                    try await eventually("given up") { keeper.losses > 0 }
                    #expect(keeper.confirmed == nil)
                    server.resume()
                    try await eventually("trusted again") { keeper.isTrusted }
                }
            }
        }

        @Test("a connection that is lost is reported before its calls fail or are made elsewhere")
        func lostConnection() async throws {
            try await RedisServer.run { server in
                let keeper = CopyKeeper()
                try await withClient(server.url, keeper) { client in
                    try await eventually("trusted") { keeper.isTrusted }
                    server.pause()
                    let call = Task {
                        _ = try? await client.send(.getAndDelete("k"))
                        return keeper.losses
                    }
                    try await eventually("it was sent") { await client.inFlightCount() > 0 }
                    #expect(keeper.losses == 0)
                    server.kill()
                    #expect(await call.value > 0)
                    try await eventually("both were reported") { keeper.losses >= 2 }
                    #expect(keeper.confirmed == nil)
                    try await server.start()
                    try await eventually("trusted again") { keeper.isTrusted }
                }
            }
        }

        @Test("one of two connections is thrown out: an interruption, and trust again when it is back")
        func oneOfTwo() async throws {
            try await RedisServer.run { server in
                let keeper = CopyKeeper()
                try await withClient(server.url, keeper) { client in
                    try await eventually("both are up") {
                        try server.cli("CLIENT", "LIST").split(separator: "\n").filter { $0.contains("name=cloakroom") }
                            .count == 2
                    }
                    guard
                        case .number(let id) = try await client.send(
                            RedisCommand("CLIENT", [.text("ID")], isIdempotent: true))
                    else { throw Failure("CLIENT ID answers a number") }
                    try server.cli("CLIENT", "KILL", "ID", "\(id)")
                    try await eventually("reported") { keeper.losses == 1 }
                    try await eventually("trusted again") { keeper.isTrusted }
                    #expect(keeper.losses == 1)
                }
            }
        }

        @Test("a user that may not ask for tracking: all works, nothing is ever confirmed, the log says so once")
        func notPermitted() async throws {
            try await RedisServer.run { server in
                try server.cli("ACL", "SETUSER", "app", "on", ">s3cret", "~*", "+@all", "-client")
                let (keeper, log) = (CopyKeeper(), RecordingLog())
                try await withClient("redis://app:s3cret@127.0.0.1:\(server.port)", keeper, log: log) { client in
                    try await write(1, "k", client)
                    #expect(try await read("k", client) == 1)
                    try await eventually("both connections said it") { keeper.losses >= 2 }
                    try await Task.sleep(for: .milliseconds(600))
                    #expect(keeper.confirmedCount == 0)
                }
                let lines = log.lines.filter { $0.contains("does not report changes") }
                #expect(lines.count == 1 && lines[0].hasPrefix("notice:") && lines[0].contains("NOPERM"))
            }
        }

        @Test("without an observer no one asks for tracking, and idle connections are silent")
        func withoutObserver() async throws {
            try await RedisServer.run { server in
                try await withClient(server.url, nil) { client in
                    _ = try await client.send(.ping)
                    #expect(!(try server.cli("CLIENT", "LIST").contains("flags=t")))
                    func pings() throws -> Substring? {
                        try server.cli("INFO", "commandstats").split(separator: "\n").first {
                            $0.hasPrefix("cmdstat_ping:")
                        }?.split(separator: ",").first
                    }
                    try await eventually("both are up") {
                        try server.cli("CLIENT", "LIST").split(separator: "\n").filter {
                            $0.contains("lib-name") || $0.contains("name=cloakroom")
                        }.count == 2
                    }
                    let before = try pings()
                    try await Task.sleep(for: .milliseconds(700))
                    #expect(try pings() == before)
                }
            }
        }
    }
}
