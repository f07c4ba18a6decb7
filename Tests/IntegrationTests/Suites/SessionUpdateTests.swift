import Cloakroom
import CloakroomRedis
import Foundation
import Testing

private enum TestCounter: SessionAttributeKey {
    typealias Value = Int
    static let name = "counter"
}

extension Integration {
    /// The app's own data in Redis, and provider identity beside what the last release has left there.
    @Suite struct SessionUpdateTests {
        @Test(
            "10,000 increments at once over two replicas are all counted, and the key keeps its TTL",
            arguments: [false, true])
        func increments(isSealed: Bool) async throws {
            try await RedisServer.run { server in
                try await withStores(try configurations(server, isSealed: isSealed)) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for number in 0..<10_000 {
                            let store = stores[number % 2]
                            group.addTask {
                                try await store.updateSession(id) { $0[TestCounter.self, default: 0] += 1 }
                            }
                        }
                        // Refreshes meanwhile lose nothing and are not lost.
                        for number in 0..<50 {
                            let store = stores[number % 2]
                            group.addTask { try await store.refreshSession(id, tokens: .sample("new")) }
                        }
                        try await group.waitForAll()
                    }
                    for store in stores {
                        let session = try await store.session(for: id)
                        #expect(session?[TestCounter.self] == 10_000)
                        #expect(session?.tokens.accessToken == "access-new")
                    }
                    let key = try #require(try server.cli("KEYS", "session:*").split(separator: "\n").first)
                    let life = Int(try server.cli("TTL", String(key))) ?? 0
                    #expect((28_000...28_800).contains(life), "the TTL is kept")
                }
            }
        }

        @Test("R30: 10,000 races of logout against an update over two replicas: none revives")
        func updateAgainstLogout() async throws {
            try await RedisServer.run { server in
                try await withStores(try configurations(server, isSealed: false)) { stores in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for number in 0..<10_000 {
                            if number >= 64 { try await group.next() }
                            group.addTask {
                                let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                                async let updated = stores[1].updateSession(id) { $0[TestCounter.self] = 1 }
                                async let ended: Void = stores[0].deleteSession(id)
                                _ = try await (updated, ended)
                                #expect(try await stores[1].session(for: id) == nil)
                            }
                        }
                        try await group.waitForAll()
                    }
                }
                #expect(try server.cli("KEYS", "session:*") == "", "no session is left")
            }
        }

        @Test("a caller that is cancelled takes no other update along")
        func cancelledUpdate() async throws {
            try await RedisServer.run { server in
                try await withStores(on: server) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for _ in 0..<200 {
                            group.addTask {
                                let task = Task {
                                    try await stores[0].updateSession(id) { $0[TestCounter.self, default: 0] += 1 }
                                }
                                task.cancel()
                                _ = await task.result
                            }
                            group.addTask {
                                try await stores[0].updateSession(id) { $0[TestCounter.self, default: 0] += 1 }
                            }
                        }
                        try await group.waitForAll()
                    }
                    #expect((200...400).contains(try await stores[0].session(for: id)?[TestCounter.self] ?? 0))
                }
            }
        }

        @Test("two issuers with one subject have indexes of their own; what the last release entered is told apart")
        func formerIndex() async throws {
            try await RedisServer.run { server in
                // The last release: no issuer in its records, and one index for a subject of whatever issuer.
                func put(_ name: String, issuer: String) throws -> SessionID {
                    let id = SessionID()
                    let claims: JSONValue = ["iss": .string(issuer), "sub": "jane", "sid": "sid-1"]
                    let token = "e30.\(Data(claims.serialized).base64EncodedString().filter { $0 != "=" }).x"
                    let record = """
                        {"tokens":{"access_token":"\(name)","refresh_token":null,"id_token":"\(token)","expires_in":300,\
                        "refresh_expires_in":null},"user_info":{"sub":"jane"},"created_at":"2024-01-15T10:30:00",\
                        "expires_at":"2999-01-01T00:00:00"}
                        """
                    try server.cli("SET", "session:\(id.secret)", record, "EX", "3600")
                    try server.cli("ZADD", Self.formerUserIndex, "32472144000000", id.secret)
                    try server.cli("ZADD", Self.formerSessionIndex, "32472144000000", id.secret)
                    return id
                }
                let (ours, other) = (try put("a", issuer: "https://a"), try put("b", issuer: "https://b"))
                let policy = SessionPolicy(defaultIssuer: "https://a")
                let configuration = RedisStoreConfiguration(url: try RedisURL(server.url))
                try await withStores([configuration], policy: policy) { stores in
                    let store = stores[0]
                    #expect(try await store.sessions(ofUser: "jane").map(\.handle) == [ours.handle])
                    #expect(try await store.sessions(ofProviderSession: "sid-1").map(\.handle) == [ours.handle])
                    let new = try await store.createSession(
                        NewSession(
                            tokens: .sample(), userInfo: UserInfo(subject: "jane"), issuer: "https://a",
                            providerSessionID: "sid-1"))
                    #expect(try await store.sessionCount(ofUser: "jane") == 2)
                    // The last release looks into its own index only, and finds the new one there.
                    let former = try server.cli("ZRANGE", Self.formerUserIndex, "0", "-1")
                    #expect(former.contains(new.secret))
                    #expect(try await store.deleteSession(other.handle, ofUser: "jane") == false)
                    #expect(try await store.deleteSessions(ofUser: "jane", except: nil) == 2)
                    #expect(try await store.session(for: ours) == nil)
                    #expect(try await store.session(for: other)?.issuer == "https://b", "the other issuer's lives")
                }
            }
        }

        @Test("200 invented logouts in a hybrid store leave no key in either Redis")
        func inventedLogouts() async throws {
            try await RedisServer.run { first in
                try await RedisServer.run { second in
                    let configurations = try [first, second].map {
                        RedisStoreConfiguration(url: try RedisURL($0.url))
                    }
                    try await withStores(configurations) { stores in
                        let hybrid = HybridSessionStore(primary: stores[0], secondary: stores[1], logger: silent)
                        for _ in 0..<200 { try await hybrid.deleteSession(SessionID()) }
                        #expect(try first.cli("DBSIZE") == "0")
                        #expect(try second.cli("DBSIZE") == "0")
                        // A real one still leaves its tombstone.
                        let id = try await stores[1].createSession(tokens: .sample(), userInfo: .jane)
                        try await hybrid.deleteSession(id)
                        #expect(try first.cli("EXISTS", "session:\(id.secret)") == "1")
                        #expect(try await hybrid.session(for: id) == nil)
                    }
                }
            }
        }

        @Test("R41: with plain sessions refused, a planted one is none, and sealed ones live on")
        func refusesPlain() async throws {
            try await RedisServer.run { server in
                var configuration = try configurations(server, isSealed: true)[0]
                configuration.acceptsPlain = false
                try await withStores([configuration]) { stores in
                    let planted = SessionID()
                    let record = """
                        {"tokens":{"access_token":"a"},"user_info":{"sub":"admin"},"created_at":"2024-01-15T10:30:00",\
                        "expires_at":"2999-01-01T00:00:00"}
                        """
                    try server.cli("SET", "session:\(planted.secret)", record, "EX", "3600")
                    let sealedName = "session:" + RecordName.sealed(planted).text
                    #expect(try await stores[0].session(for: planted) == nil)
                    try server.cli("SET", sealedName, record, "EX", "3600")
                    #expect(try await stores[0].session(for: planted) == nil)
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    #expect(try await stores[0].session(for: id) != nil)
                }
            }
        }

        /// What the last release called the indexes of the user `jane` and of the provider session `sid-1`.
        private static let formerUserIndex = "session-index:user:gfj23eiDZfOSh5bseqU_cg"
        private static let formerSessionIndex = "session-index:sid:UANQ8jDvF9DeRBgtGgiJ9Q"
    }
}

private func configurations(_ server: RedisServer, isSealed: Bool) throws -> [RedisStoreConfiguration] {
    var configuration = RedisStoreConfiguration(url: try RedisURL(server.url), commandTimeout: .seconds(30))
    if isSealed { configuration.keyring = try SessionKeyring(SessionKeyring.generateKey()) }
    return [configuration, configuration]
}
