import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

extension Integration {
    /// What each call costs, counted on the wire.
    @Suite struct CommandBudgetTests {
        private static let idle = SessionPolicy(idleTimeout: .seconds(600))

        /// Round trips of one caller's `body`, without heartbeats of a near cache.
        private func roundTrips(
            _ store: RedisSessionStore, _ counter: RoundTripCounter, _ body: () async throws -> Void
        ) async throws -> Int {
            try await store.ping()
            let before = counter.count
            try await body()
            return counter.count - before
        }

        @Test(
            "round trips: create 1, read 1, refresh 2, delete 2 at most, with the indexes",
            arguments: [SessionPolicy(), idle, SessionPolicy(maximumPerUser: 3)], [false, true])
        func roundTrips(policy: SessionPolicy, isSealed: Bool) async throws {
            try await RedisServer.run { server in
                let counter = try await RoundTripCounter(before: server)
                var configuration = RedisStoreConfiguration(url: try RedisURL(counter.url))
                configuration.nearCache = nil
                configuration.connectionsPerNode = 1
                if isSealed { configuration.keyring = try SessionKeyring(SessionKeyring.generateKey()) }
                try await withStores([configuration], policy: policy) { stores in
                    let store = stores[0]
                    // The scripts are sent once in full.
                    let first = try await store.createSession(tokens: .sample(), userInfo: .jane)
                    try await store.refreshSession(first, tokens: .sample())
                    try await store.deleteSession(first)

                    var ids: [SessionID] = []
                    for _ in 0..<5 {
                        // Beyond the limit it is noted why a session ended, and in the sealed form its summary goes.
                        let isOver = ids.count >= policy.maximumPerUser ?? .max
                        let trips = try await roundTrips(store, counter) {
                            ids.append(try await store.createSession(tokens: .sample(), userInfo: .jane))
                        }
                        #expect(trips == (isOver ? 2 : 1))
                    }
                    let id = try #require(ids.last)
                    #expect(try await roundTrips(store, counter) { _ = try await store.session(for: id) } == 1)
                    #expect(
                        try await roundTrips(store, counter) {
                            _ = try await store.refreshSession(id, tokens: .sample())
                        }
                            == 2)
                    #expect(try await roundTrips(store, counter) { try await store.deleteSession(id) } <= 2)
                    #expect(
                        try await roundTrips(store, counter) { _ = try await store.sessions(ofUser: "248289761001") }
                            == 2)
                }
                await counter.close()
            }
        }

        @Test("thousands of sessions of a user end in a few round trips")
        func bulk() async throws {
            try await RedisServer.run { server in
                let counter = try await RoundTripCounter(before: server)
                var configuration = RedisStoreConfiguration(
                    url: try RedisURL(counter.url), commandTimeout: .seconds(20))
                configuration.nearCache = nil
                configuration.connectionsPerNode = 1
                try await withStores([configuration]) { stores in
                    try await createMany(3000, in: stores[0])
                    let trips = try await roundTrips(stores[0], counter) {
                        let ended = try await stores[0].deleteSessions(
                            ofUser: UserInfo.jane.subject ?? "", except: nil)
                        #expect(ended == 3000)
                    }
                    // Reads and writes of this size are cut up on their way, which may look like a few more turns.
                    #expect(trips < 50)
                }
                #expect(try server.cli("KEYS", "session:*") == "")
                await counter.close()
            }
        }

        @Test("with an idle limit, at most one use is noted in an interval, by however many requests")
        func touches() async throws {
            let policy = SessionPolicy(idleTimeout: .seconds(20))
            for nearCache in [nil, NearCacheConfiguration()] {
                try await RedisServer.run { server in
                    var configuration = RedisStoreConfiguration(url: try RedisURL(server.url))
                    configuration.nearCache = nearCache
                    try await withStores([configuration], policy: policy) { stores in
                        let store = stores[0]
                        let id = try await store.createSession(tokens: .sample(), userInfo: .jane)
                        let before = try server.calls(of: "pexpire")
                        let start = ContinuousClock.now
                        while ContinuousClock.now - start < .seconds(7) {
                            try await withThrowingTaskGroup(of: Void.self) { group in
                                for _ in 0..<64 {
                                    group.addTask {
                                        let session = try await store.session(for: id)
                                        #expect(session != nil)
                                    }
                                }
                                try await group.waitForAll()
                            }
                            try await Task.sleep(for: .milliseconds(20))
                        }
                        let intervals = Int((ContinuousClock.now - start) / .seconds(2))
                        let touches = try server.calls(of: "pexpire") - before
                        #expect((1...intervals).contains(touches), "one every 2 s at most")
                    }
                }
            }
        }

        @Test("a session that the near cache has costs no command at all; its end is seen by another replica at once")
        func nearCacheHits() async throws {
            try await RedisServer.run { server in
                try await withStores(2, on: server) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try await eventually("it is kept") {
                        _ = try await stores[1].session(for: id)
                        return stores[1].nearCacheUsage.entries == 1
                    }
                    let before = try server.calls(of: "get")
                    for _ in 0..<10_000 { #expect(try await stores[1].session(for: id) != nil) }
                    #expect(try server.calls(of: "get") == before)
                    try await stores[0].deleteSession(id)
                    let end = ContinuousClock.now + .milliseconds(100)
                    while try await stores[1].session(for: id) != nil { #expect(ContinuousClock.now < end, "R20") }
                    #expect(stores[1].nearCacheUsage.entries == 0)
                }
            }
        }
    }
}

extension RedisServer {
    /// How often a command was carried out, as the server counts; those of scripts too.
    func calls(of command: String) throws -> Int {
        let line = try cli("INFO", "commandstats").split(whereSeparator: \.isNewline)
            .first { $0.hasPrefix("cmdstat_\(command):") }
        return Int(line?.split(separator: "=").dropFirst().first?.prefix { $0.isNumber } ?? "0") ?? 0
    }
}

/// Logs Jane in many times over.
func createMany(_ count: Int, in store: some SessionStore, userInfo: UserInfo = .jane) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for task in 0..<64 {
            group.addTask {
                for _ in stride(from: task, to: count, by: 64) {
                    _ = try await store.createSession(tokens: .sample(), userInfo: userInfo)
                }
            }
        }
        try await group.waitForAll()
    }
}
