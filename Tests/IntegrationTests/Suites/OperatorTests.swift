import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

extension Integration {
    /// What the command line asks of a store.
    @Suite struct OperatorTests {
        private static let issuer = "https://id.example.com"

        /// The shortest and the longest life of the keys that match.
        private static let extremes = """
            local least, most = 1e9, -1
            for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
              local life = redis.call('TTL', key)
              least, most = math.min(least, life), math.max(most, life)
            end
            return {least, most}
            """

        private func configuration(
            _ url: String, isSealed: Bool, prefix: String = "session:", key: String = SessionKeyring.generateKey()
        ) throws -> RedisStoreConfiguration {
            var configuration = RedisStoreConfiguration(url: try RedisURL(url), keyPrefix: prefix)
            configuration.nearCache = nil
            if isSealed { configuration.keyring = try SessionKeyring(key) }
            return configuration
        }

        private func stored(_ store: RedisSessionStore) async throws -> [StoredSession] {
            var page = try await store.storedSessions(after: nil, count: 100)
            var all = page.sessions
            while let next = page.next {
                page = try await store.storedSessions(after: next, count: 100)
                all += page.sessions
            }
            #expect(page.skipped == 0)
            return all
        }

        private func create(_ count: Int, in store: RedisSessionStore, user: String = "user") async throws
            -> [SessionID]
        {
            var ids: [SessionID] = []
            for number in 0..<count {
                ids.append(
                    try await store.createSession(
                        NewSession(
                            tokens: .sample("\(number)"),
                            userInfo: UserInfo(
                                subject: "\(user)-\(number % 10)", preferredUsername: "name-\(number % 10)"),
                            issuer: Self.issuer, providerSessionID: "sid-\(number)")))
            }
            return ids
        }

        // MARK: Moving

        @Test(
            "what is moved is the same in the other Redis, in every list, for as long", arguments: [false, true])
        func moving(isSealed: Bool) async throws {
            let key = SessionKeyring.generateKey()
            // With an idle limit keys end before their sessions do, and what lists show must not.
            let policy = SessionPolicy(idleTimeout: .seconds(600), defaultIssuer: Self.issuer)
            try await RedisServer.run { old in
                try await RedisServer.run { new in
                    let configurations = try [old, new].map {
                        try configuration($0.url, isSealed: isSealed, key: key)
                    }
                    try await withStores(configurations, policy: policy) { stores in
                        let ids = try await create(30, in: stores[0])
                        let sessions = try await stored(stores[0])
                        #expect(sessions.count == 30)
                        #expect(try await stores[0].defaultIssuer(seenIn: sessions) == Self.issuer)
                        #expect(
                            try await stores[1].take(sessions)
                                == Array(repeating: StoredSessionOutcome.stored, count: 30))
                        for id in ids {
                            let session = try await stores[0].session(for: id)
                            #expect(session != nil)
                            #expect(try await stores[1].session(for: id) == session)
                        }
                        let user = UserIdentity(issuer: nil, subject: "user-3")
                        let handles = Set(try await stores[0].sessions(ofUser: user).map(\.handle))
                        #expect(handles.count == 3)
                        #expect(Set(try await stores[1].sessions(ofUser: user).map(\.handle)) == handles)
                        #expect(
                            try await stores[1].sessions(ofProviderSession: "sid-7").map(\.handle) == [ids[7].handle])
                        for (pattern, lives) in [("session:*", 590...600), ("session-index:*", 28_700...28_800)] {
                            let extremes = try new.cli("EVAL", Self.extremes, "0", pattern).split(separator: "\n")
                            #expect(extremes.allSatisfy { lives.contains(Int($0) ?? 0) }, "\(pattern) \(extremes)")
                        }
                        #expect(try new.cli("DBSIZE") == (try old.cli("DBSIZE")))
                    }
                }
            }
        }

        @Test("nothing that is there is changed, no logout undone, and no list left without a session")
        func moveAgain() async throws {
            try await RedisServer.run { old in
                try await RedisServer.run { new in
                    let key = SessionKeyring.generateKey()
                    let configurations = try [old, new].map { try configuration($0.url, isSealed: true, key: key) }
                    let policy = SessionPolicy(defaultIssuer: Self.issuer)
                    try await withStores(configurations, policy: policy) { stores in
                        let ids = try await create(3, in: stores[0])
                        let sessions = try await stored(stores[0]).sorted {
                            $0.name.handle.description < $1.name.handle.description
                        }
                        let order = ids.sorted { $0.handle.description < $1.handle.description }
                        try await stores[1].deleteSession(order[0], tombstoneUntil: Date(timeIntervalSinceNow: 3600))
                        _ = try await stores[1].take(Array(sessions[1...1]))
                        let newer = try await stores[1].refreshSession(order[1], tokens: .sample("newer"))
                        // As after an import that was cut off behind the records.
                        for index in try new.cli("KEYS", "session-index:*").split(separator: "\n") {
                            try new.cli("DEL", String(index))
                        }
                        #expect(try await stores[1].take(sessions) == [.wasEnded, .alreadyThere, .stored])
                        #expect(try await stores[1].session(for: order[0]) == nil)
                        #expect(try await stores[1].session(for: order[1]) == newer)
                        #expect(try await stores[1].sessions(after: nil, limit: 10).sessions.count == 2)
                        // A session that was ended is none to be moved.
                        #expect(try await stored(stores[1]).count == 2)
                    }
                }
            }
        }

        @Test("what is no session is refused, and stored nowhere")
        func refused() async throws {
            try await RedisServer.run { server in
                let sealed = try configuration(server.url, isSealed: true)
                var strict = sealed
                strict.acceptsPlain = false
                try await withStores([sealed, strict]) { stores in
                    let id = SessionID()
                    let end = Int(Date().timeIntervalSince1970 * 1000) + 100_000
                    func stored(_ name: RecordName, _ text: String, end: Int = end) -> StoredSession {
                        StoredSession(name: name, record: Array(text.utf8), end: end, summary: nil)
                    }
                    let plain = """
                        {"tokens":{"access_token":"a"},"user_info":{},"created_at":"2024-01-15T10:30:00",
                         "expires_at":"2024-01-15T18:30:00"}
                        """
                    let outcomes = try await stores[0].take([
                        stored(.plain(id), "nonsense"), stored(.sealed(id), plain),
                        stored(.plain(id), #"{"ended":true}"#),
                        // Ended by its own words, whatever its key says.
                        stored(.plain(id), plain),
                        stored(.plain(id), plain.replacing("2024-01-15T18", with: "2999-01-15T18"), end: 5),
                    ])
                    guard case .refused = outcomes[0], case .refused = outcomes[1] else {
                        Issue.record("\(outcomes)")
                        return
                    }
                    #expect(outcomes[2...] == [.isOver, .isOver, .isOver])
                    let live = stored(.plain(id), plain.replacing("2024-01-15T18", with: "2999-01-15T18"))
                    guard case .refused(let reason) = try await stores[1].take([live])[0] else {
                        Issue.record("a plain session was taken where plain ones are refused")
                        return
                    }
                    #expect(reason.contains("plain"))
                    #expect(try await stores[0].take([live], isTrial: true) == [.stored])
                    #expect(try server.cli("DBSIZE") == "0")
                    #expect(try await stores[0].take([live]) == [.stored])
                    // Its sealed form is there already.
                    try await stores[0].refreshSession(id, tokens: .sample("sealed now"))
                    #expect(try await stores[0].take([live]) == [.alreadyThere])
                    #expect(try server.cli("KEYS", "session:*").split(separator: "\n").count == 1)
                }
            }
        }

        @Test("a key without a TTL is moved too, and gets the session's end")
        func endless() async throws {
            try await RedisServer.run { server in
                try await withStores([try configuration(server.url, isSealed: false)]) { stores in
                    let id = SessionID()
                    try server.cli(
                        "SET", "session:\(id.secret)",
                        #"{"tokens":{"access_token":"a"},"user_info":{},"created_at":"2024-01-15T10:30:00","expires_at":"2999-01-01T00:00:00"}"#
                    )
                    let sessions = try await stored(stores[0])
                    #expect(sessions.map(\.end) == [32_472_144_000_000])
                    try server.cli("FLUSHALL")
                    #expect(try await stores[0].take(sessions) == [.stored])
                    #expect(Int(try server.cli("TTL", "session:\(id.secret)")) ?? 0 > 1_000_000)
                }
            }
        }

        // MARK: Looking

        @Test("sessions are found by handle, in both forms, and by sub and name without knowing the issuer")
        func looking() async throws {
            try await RedisServer.run { server in
                let policy = SessionPolicy(defaultIssuer: Self.issuer)
                let key = SessionKeyring.generateKey()
                try await withStores([try configuration(server.url, isSealed: true, key: key)], policy: policy) {
                    stores in
                    let sealed = try await create(40, in: stores[0])
                    // As the command line has it where OIDC_ISSUER is not set.
                    try await withStores([
                        try configuration(server.url, isSealed: true, key: key),
                        try configuration(server.url, isSealed: false),
                    ]) { operators in
                        let plain = try await create(40, in: operators[1], user: "other")
                        for id in [sealed[17], plain[23]] {
                            #expect(try await operators[0].locate([id.handle])[id.handle]?.handle == id.handle)
                            let details = try #require(try await operators[0].details(of: id.handle))
                            #expect(details.summary?.handle == id.handle && details.life ?? 0 > 28_000_000)
                            #expect(details.form == (id == sealed[17] ? .sealed : .plain))
                            #expect((details.session == nil) == (id == sealed[17]))
                        }
                        let both = Set([sealed[0].handle, plain[0].handle])
                        #expect(Set(try await operators[0].locate(both).keys) == both)
                        #expect(try await operators[0].locate([SessionID().handle]).isEmpty)
                        // By the index, by which the issuer is not named.
                        let bySubject = try await operators[0].locate(subject: "user-3", issuer: nil)
                        #expect(bySubject.count == 4 && bySubject.allSatisfy { $0.summary.issuer == Self.issuer })
                        #expect(try await operators[0].locate(subject: "user-3", issuer: Self.issuer).count == 4)
                        #expect(try await operators[0].locate(subject: "user-3", issuer: "https://other").isEmpty)
                        let byName = try await operators[0].locate { $0.userName == "name-5" }
                        #expect(byName.count == 8)
                        #expect(try await operators[0].end(bySubject.map(\.name)) == 4)
                        #expect(try await stores[0].sessions(ofUser: "user-3").isEmpty)
                    }
                }
            }
        }

        @Test("few keys are counted, many are estimated, and other keys are neither")
        func estimates() async throws {
            try await RedisServer.run { server in
                try await withStores([try configuration(server.url, isSealed: false)]) { stores in
                    _ = try await create(50, in: stores[0])
                    try server.cli("SET", "other", "1")
                    var estimate = try await stores[0].sessionEstimate()
                    #expect(estimate.count == 50 && estimate.isExact)
                    try server.cli(
                        "EVAL",
                        "for i = 1, 20000 do redis.call('SET', 'session:filled-' .. (100000 + i) .. '-for-the-test', 'x') end",
                        "0")
                    try server.cli("EVAL", "for i = 1, 20000 do redis.call('SET', 'others-' .. i, 'x') end", "0")
                    estimate = try await stores[0].sessionEstimate()
                    #expect(!estimate.isExact)
                    #expect((18_000...22_000).contains(estimate.count), "\(estimate.count)")
                }
            }
        }

        @Test("all of it on a cluster", arguments: [false, true])
        func cluster(isSealed: Bool) async throws {
            try await ClusterServers.run(nodes: 3) { servers in
                try await withStores(
                    [try configuration(servers.url, isSealed: isSealed)],
                    policy: SessionPolicy(defaultIssuer: Self.issuer)
                ) { stores in
                    let ids = try await create(60, in: stores[0])
                    let sessions = try await stored(stores[0])
                    #expect(sessions.count == 60)
                    #expect(try await stores[0].sessionEstimate().count == 60)
                    #expect(try await stores[0].details(of: ids[33].handle)?.summary?.subject == "user-3")
                    #expect(try await stores[0].end(sessions.map(\.name)) == 60)
                    #expect(try await stores[0].sessionCount() == 0)
                    #expect(try await stores[0].take(sessions) == Array(repeating: .stored, count: 60))
                    #expect(try await stores[0].sessions(ofUser: "user-3").count == 6)
                    for id in ids { #expect(try await stores[0].session(for: id) != nil) }
                }
            }
        }

        // MARK: Watching

        @Test("what begins, changes and ends is told as it happens", arguments: [false, true])
        func watching(isSealed: Bool) async throws {
            try await RedisServer.run { server in
                let key = SessionKeyring.generateKey()
                try await withStores([try configuration(server.url, isSealed: isSealed, key: key)]) { stores in
                    let watch = SessionWatch(
                        try configuration(server.url, isSealed: isSealed, key: key), policy: SessionPolicy(),
                        logger: silent)
                    let (changes, continuation) = AsyncStream.makeStream(of: SessionWatch.Change.self)
                    let task = Task { try await watch.run { continuation.yield($0) } }
                    defer { task.cancel() }
                    var iterator = changes.makeAsyncIterator()
                    guard case .watching? = await iterator.next() else {
                        Issue.record("it does not watch")
                        return
                    }
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    guard case .began(let began)? = await iterator.next() else {
                        Issue.record("no word of its beginning")
                        return
                    }
                    #expect(began.handle == id.handle && began.subject == UserInfo.jane.subject)
                    try await stores[0].refreshSession(id, tokens: .sample("new"))
                    guard case .changed(let changed)? = await iterator.next() else {
                        Issue.record("no word of its change")
                        return
                    }
                    #expect(changed.handle == id.handle)
                    try await stores[0].deleteSession(id)
                    // It may be told of a change twice.
                    while let change = await iterator.next() {
                        if case .ended(let ended) = change {
                            #expect(ended == id.handle)
                            return
                        }
                    }
                }
            }
        }

        @Test("a user who may not be told of changes is told so")
        func mayNotWatch() async throws {
            try await RedisServer.run { server in
                try server.cli(
                    "ACL", "SETUSER", "app", "on", ">secret", "~session*", "+@read", "+@write", "+@connection",
                    "-client|tracking")
                let url = server.url.replacing("redis://", with: "redis://app:secret@")
                let watch = SessionWatch(
                    try configuration(url, isSealed: false), policy: SessionPolicy(), logger: silent)
                let error = await #expect(throws: SessionStoreError.self) { try await watch.run { _ in } }
                #expect(error?.reason.contains("client|tracking") == true)
            }
        }
    }
}
