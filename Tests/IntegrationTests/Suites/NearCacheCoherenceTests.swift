import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

extension Integration {
    /// What the near cache must never do: serve what is no longer so.
    @Suite struct NearCacheCoherenceTests {
        private static let subject = UserInfo.jane.subject ?? ""

        private func configurations(_ count: Int, _ server: RedisServer, isSealed: Bool) throws
            -> [RedisStoreConfiguration]
        {
            var configuration = RedisStoreConfiguration(url: try RedisURL(server.url))
            if isSealed { configuration.keyring = try SessionKeyring(SessionKeyring.generateKey()) }
            return Array(repeating: configuration, count: count)
        }

        @Test(
            "R20: 500 logouts with warm near caches: refused on every replica within 100 ms",
            arguments: [false, true])
        func revocation(isSealed: Bool) async throws {
            try await RedisServer.run { server in
                try await withStores(try configurations(3, server, isSealed: isSealed)) { stores in
                    var latest = Duration.zero
                    for round in 0..<Soak.rounds(20, else: 10) {
                        var ids: [SessionID] = []
                        for _ in 0..<50 {
                            ids.append(try await stores[0].createSession(tokens: .sample(), userInfo: .jane))
                        }
                        try await warm(stores, ids)
                        for (number, id) in ids.enumerated() {
                            try await stores[number % 3].deleteSession(id)
                            let start = ContinuousClock.now
                            #expect(
                                try await stores[number % 3].session(for: id) == nil, "its own replica refuses at once")
                            for store in stores {
                                while try await store.session(for: id) != nil {
                                    guard ContinuousClock.now - start < .seconds(5) else {
                                        throw Failure("round \(round): a session outlived its logout by 5 s")
                                    }
                                }
                            }
                            latest = max(latest, ContinuousClock.now - start)
                        }
                    }
                    #expect(latest < .milliseconds(100))
                }
            }
        }

        @Test("R20: all sessions of a user end on every replica within 100 ms, however many are cached")
        func bulkRevocation() async throws {
            try await RedisServer.run { server in
                try await withStores(try configurations(3, server, isSealed: true)) { stores in
                    var ids: [SessionID] = []
                    for _ in 0..<300 {
                        ids.append(try await stores[0].createSession(tokens: .sample(), userInfo: .jane))
                    }
                    try await warm(stores, ids)
                    #expect(try await stores[1].deleteSessions(ofUser: Self.subject, except: ids[7]) == 299)
                    let end = ContinuousClock.now + .milliseconds(100)
                    for store in stores {
                        for (number, id) in ids.enumerated() where number != 7 {
                            while try await store.session(for: id) != nil {
                                guard ContinuousClock.now < end else {
                                    throw Failure("a session is served after 100 ms")
                                }
                            }
                        }
                        #expect(try await store.session(for: ids[7]) != nil)
                    }
                }
            }
        }

        @Test("3,000 refreshes against reads on two other replicas: none serves tokens older than it must know of")
        func refreshes() async throws {
            try await RedisServer.run { server in
                try await withStores(try configurations(3, server, isSealed: false)) { stores in
                    var ids: [SessionID] = []
                    for _ in 0..<10 {
                        ids.append(
                            try await stores[0].createSession(tokens: TokenSet(accessToken: "0"), userInfo: .jane))
                    }
                    let known = ids
                    // 10,000 in a long run.
                    let versions = Soak.rounds(1000, else: 300)
                    let isOver = Counter()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for task in 0..<8 {
                            group.addTask {
                                let store = stores[1 + task % 2]
                                var newest = [Int](repeating: 0, count: known.count)
                                var round = task
                                while isOver.value == 0 {
                                    round += 1
                                    let number = round % known.count
                                    guard let text = try await store.session(for: known[number])?.tokens.accessToken,
                                        let version = Int(text)
                                    else { throw Failure("a live session was not found") }
                                    // One reader, one session, one after the other: time must not run backwards.
                                    if version < newest[number] { throw Failure("\(version) after \(newest[number])") }
                                    newest[number] = version
                                    // A hit does not wait for anything: others must have their turn.
                                    await Task.yield()
                                }
                            }
                        }
                        group.addTask {
                            for version in 1...versions {
                                for id in known {
                                    try await stores[0].refreshSession(id, tokens: TokenSet(accessToken: "\(version)"))
                                }
                            }
                            isOver.increment()
                        }
                        try await group.waitForAll()
                    }
                    let end = ContinuousClock.now + .milliseconds(100)
                    for store in stores {
                        for id in ids {
                            while try await store.session(for: id)?.tokens.accessToken != "\(versions)" {
                                guard ContinuousClock.now < end else {
                                    throw Failure("old tokens are served after 100 ms")
                                }
                            }
                        }
                    }
                }
            }
        }

        @Test("when its connections drop, everything is forgotten, and built up again afterwards")
        func droppedConnections() async throws {
            try await RedisServer.run { server in
                try await withStores(try configurations(1, server, isSealed: false)) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    for _ in 0..<5 {
                        try await warm(stores, [id])
                        try server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                        // Nobody is told of this change.
                        try await eventually("it is forgotten") { stores[0].nearCacheUsage.entries == 0 }
                    }
                    try await warm(stores, [id])
                    server.kill()
                    try await eventually("R42: a lost server is an error, not a session") {
                        do {
                            _ = try await stores[0].session(for: id)
                            return false
                        } catch let error as SessionStoreError {
                            return error.code == .unavailable
                        }
                    }
                }
            }
        }

        @Test("a server that falls silent is no longer trusted after little more than a second")
        func silence() async throws {
            try await RedisServer.run { server in
                try await withStores(try configurations(1, server, isSealed: false)) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try await warm(stores, [id])
                    server.pause()
                    let start = ContinuousClock.now
                    var lastServed = start
                    while ContinuousClock.now - start < .seconds(10) {
                        guard (try? await stores[0].session(for: id)) != nil else { break }
                        lastServed = .now
                    }
                    #expect(lastServed - start < .milliseconds(1500))
                    server.resume()
                    try await eventually("it recovers") { (try? await stores[0].session(for: id)) != nil }
                }
            }
        }

        @Test("R18: what is cached ends with the idle and the absolute limit, though Redis reports neither in time")
        func limits() async throws {
            let policy = SessionPolicy(absoluteLifetime: .seconds(3), idleTimeout: .seconds(2))
            try await RedisServer.run(["--hz", "1"]) { server in
                try await withStores(try configurations(2, server, isSealed: false), policy: policy) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    let start = Date()
                    try await eventually("it ends", within: .seconds(10)) {
                        try await stores[1].session(for: id) == nil
                    }
                    #expect(Date().timeIntervalSince(start) < 3.3)
                    let idle = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    _ = try await stores[1].session(for: idle)
                    try await Task.sleep(for: .seconds(2.2))
                    #expect(try await stores[1].session(for: idle) == nil)
                }
            }
        }
    }
}
