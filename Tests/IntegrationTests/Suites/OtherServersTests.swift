import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

/// A server of another version or make than the one in the `PATH`.
struct OtherServer: Sendable, CustomTestStringConvertible {
    let program: URL
    /// As it says itself, such as `Redis server v=8.2.3`.
    let testDescription: String

    /// Those that `CLOAKROOM_OTHER_SERVERS` names, paths with colons between them; `scripts/test` sets it.
    static let all = (ProcessInfo.processInfo.environment["CLOAKROOM_OTHER_SERVERS"] ?? "").split(separator: ":")
        .compactMap { OtherServer(String($0)) }

    private init?(_ path: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = ["--version"]
        let output = Pipe()
        process.standardOutput = output
        guard (try? process.run()) != nil else { return nil }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        self.program = URL(fileURLWithPath: path)
        self.testDescription = text.split(separator: " ").prefix(3).joined(separator: " ")
    }

    /// Whether it is a Redis before 7.0.
    var isOld: Bool { testDescription.contains("v=6.") }
}

extension Integration {
    /// Redis from 6.2 on and Valkey: the same promises, whichever commands a server lacks.
    @Suite(
        .enabled(if: !OtherServer.all.isEmpty, "CLOAKROOM_OTHER_SERVERS names no server of another version"))
    struct OtherServersTests {
        private static let key = SessionKeyring.generateKey()

        /// The servers side by side: most of the time each waits for something to end by itself.
        private func onEach(_ body: @escaping @Sendable () async throws -> Void) async {
            await sideBySide(OtherServer.all) { server in
                do {
                    try await RedisServer.$program.withValue(server.program, operation: body)
                } catch {
                    Issue.record("\(server.testDescription): \(error)")
                }
            }
        }

        @Test("one server, plain and sealed", arguments: [false, true])
        func single(isSealed: Bool) async {
            await onEach {
                try await RedisServer.run { redis in
                    try await ConformanceRun.conform(url: redis.url, divisor: 5) {
                        if isSealed { $0.keyring = try SessionKeyring(Self.key) }
                    }
                }
            }
        }

        @Test("behind Sentinel, writes confirmed by a replica")
        func sentinel() async {
            await onEach {
                try await SentinelServers.run { servers in
                    try await ConformanceRun.conform(url: servers.url, divisor: 5) {
                        $0.waitReplicas = 1
                        $0.waitTimeout = .seconds(5)
                    }
                }
            }
        }

        @Test("Cluster, sealed")
        func cluster() async {
            await onEach {
                try await ClusterServers.run { servers in
                    try await ConformanceRun.conform(url: servers.url, divisor: 5) {
                        $0.keyring = try SessionKeyring(Self.key)
                    }
                }
            }
        }

        @Test(
            "where a server lacks what a create wants, a script does it, and the log says so once",
            arguments: OtherServer.all)
        func createWithoutTransaction(server: OtherServer) async throws {
            try await RedisServer.$program.withValue(server.program) {
                try await RedisServer.run { redis in
                    let log = RecordingLog()
                    try await withStores(on: redis, logger: log.logger) { stores in
                        for _ in 0..<3 {
                            let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                            #expect(try redis.cli("EXISTS", "session:\(id.secret)") == "1")
                        }
                        let listed = try await stores[0].sessions(ofUser: "248289761001").count
                        #expect(listed == 3)
                    }
                    let lines = log.lines.filter { $0.contains("a script does it") }
                    #expect(lines.count == (server.isOld ? 1 : 0), "\(log.lines)")
                }
            }
        }

        @Test("sessions are moved and listed, whichever commands the server lacks", arguments: OtherServer.all)
        func moving(server: OtherServer) async throws {
            try await RedisServer.$program.withValue(server.program) {
                try await RedisServer.run { redis in
                    var configuration = RedisStoreConfiguration(url: try RedisURL(redis.url))
                    configuration.keyring = try SessionKeyring(Self.key)
                    try await withStores([configuration]) { stores in
                        for _ in 0..<3 { _ = try await stores[0].createSession(tokens: .sample(), userInfo: .jane) }
                        let page = try await stores[0].storedSessions(after: nil, count: 1000)
                        try redis.cli("FLUSHALL")
                        #expect(try await stores[0].take(page.sessions) == [.stored, .stored, .stored])
                        #expect(try await stores[0].sessions(ofUser: "248289761001").count == 3)
                        let index = try redis.cli("KEYS", "session-index:user:*")
                        #expect((28_700...28_801).contains(Int(try redis.cli("TTL", index)) ?? 0))
                        #expect(try await stores[0].sessionEstimate().count == 3)
                    }
                }
            }
        }

        @Test("R20: a logout is refused within 100 ms where the near cache has the session", arguments: OtherServer.all)
        func coherence(server: OtherServer) async throws {
            try await RedisServer.$program.withValue(server.program) {
                try await RedisServer.run { redis in
                    try await withStores(2, on: redis) { stores in
                        for _ in 0..<200 {
                            let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                            try await eventually("the other replica has it in its near cache") {
                                _ = try await stores[1].session(for: id)
                                await Task.yield()
                                return stores[1].nearCacheUsage.entries > 0
                            }
                            try await stores[0].deleteSession(id)
                            let end = ContinuousClock.now + .milliseconds(100)
                            var isLive = true
                            while isLive, ContinuousClock.now < end {
                                isLive = try await stores[1].session(for: id) != nil
                                await Task.yield()
                            }
                            #expect(!isLive)
                        }
                    }
                }
            }
        }
    }
}
