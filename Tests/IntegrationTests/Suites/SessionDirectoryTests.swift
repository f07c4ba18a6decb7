import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite struct SessionDirectoryTests {
        private static let subject = UserInfo.jane.subject ?? ""

        @Test(
            "index keys do not match session:*, always have a TTL, and go with the sessions", arguments: [false, true])
        func indexKeys(isSealed: Bool) async throws {
            try await RedisServer.run { server in
                try await withStores([try configuration(server, isSealed: isSealed)]) { stores in
                    let id = try await stores[0].createSession(tokens: .withProviderSession("s1"), userInfo: .jane)
                    let keys = try server.cli("KEYS", "*").split(separator: "\n").map(String.init)
                    #expect(keys.count == (isSealed ? 4 : 3))
                    #expect(keys.filter { $0.hasPrefix("session:") }.count == 1)
                    #expect(keys.filter { $0.hasPrefix("session-index:") }.count == keys.count - 1)
                    for key in keys {
                        #expect((28_700...28_801).contains(Int(try server.cli("TTL", key)) ?? 0), "\(key)")
                        if isSealed { #expect(!key.contains(id.secret), "R41") }
                    }
                    try await stores[0].deleteSession(id)
                    #expect(try server.keys() == [])
                }
            }
        }

        @Test("entries whose sessions have vanished are in no list, and are removed by the reader")
        func healing() async throws {
            try await RedisServer.run { server in
                try await withStores(2, on: server) { stores in
                    var ids: [SessionID] = []
                    for _ in 0..<5 {
                        ids.append(
                            try await stores[0].createSession(tokens: .withProviderSession("s1"), userInfo: .jane))
                    }
                    for id in ids[..<2] { try server.cli("DEL", "session:\(id.secret)") }
                    let index = try server.cli("KEYS", "session-index:user:*")
                    #expect(try server.cli("ZCARD", index) == "5")
                    #expect(try await stores[1].sessions(ofUser: Self.subject).count == 3)
                    #expect(try server.cli("ZCARD", index) == "3")
                    #expect(try await stores[1].sessionCount(ofUser: Self.subject) == 3)
                    #expect(try await stores[1].deleteSessions(ofProviderSession: "s1") == 3)
                    #expect(try await stores[1].sessions(ofUser: Self.subject).isEmpty)
                }
            }
        }

        @Test("a session that another program or an older version wrote is in the lists after its first refresh")
        func foreignSessions() async throws {
            try await RedisServer.run { server in
                try await withStores(on: server) { stores in
                    let id = try #require(SessionID("550e8400-e29b-41d4-a716-446655440000"))
                    let record = """
                        {"tokens": {"access_token": "a"}, "user_info": {"sub": "s"}, "created_at": "2024-01-15T10:30:00",
                         "expires_at": "2999-01-01T00:00:00"}
                        """
                    try server.cli("SET", "session:\(id.secret)", record, "EX", "3600")
                    #expect(try await stores[0].sessions(after: nil, limit: 10).sessions.map(\.handle) == [id.handle])
                    #expect(try await stores[0].sessionCount() == 1)
                    try await stores[0].refreshSession(id, tokens: .sample())
                    #expect(try await stores[0].sessions(ofUser: "s").map(\.handle) == [id.handle])
                    #expect(try await stores[0].deleteSession(id.handle, ofUser: nil))
                    #expect(try await stores[0].session(for: id) == nil)
                }
            }
        }

        @Test("all sessions end, other programs' keys stay")
        func deleteAll() async throws {
            try await RedisServer.run { server in
                try await withStores(on: server) { stores in
                    try await createMany(2500, in: stores[0])
                    try server.cli("SET", "other", "1")
                    try server.cli("SET", "session:not a session", "1")
                    #expect(try await stores[0].sessionCount() == 2500)
                    #expect(try await stores[0].deleteAllSessions() == 2500)
                    #expect(try server.keys() == ["other", "session:not a session"])
                }
            }
        }

        @Test("a cursor that is none is refused", arguments: ["", "0", "x/y", "/", "x/0", "/-1"])
        func cursors(_ text: String) async throws {
            try await RedisServer.run { server in
                try await withStores(on: server) { stores in
                    _ = await #expect(throws: SessionStoreError.self) {
                        try await stores[0].sessions(after: SessionPage.Cursor(text), limit: 10)
                    }
                }
            }
        }

        @Test("with a limit per user the oldest goes, whichever replica the login comes to, and its user's others stay")
        func limit() async throws {
            try await RedisServer.run { server in
                try await withStores(2, on: server, policy: SessionPolicy(maximumPerUser: 3)) { stores in
                    var ids: [SessionID] = []
                    let other = try await stores[0].createSession(
                        tokens: .sample(), userInfo: UserInfo(subject: "other"))
                    for number in 0..<6 {
                        ids.append(try await stores[number % 2].createSession(tokens: .sample(), userInfo: .jane))
                        // Logins of one millisecond have no order.
                        let next = Date(timeIntervalSinceNow: 0.002)
                        try await eventually("the next millisecond") { Date() > next }
                        let live = try await stores[(number + 1) % 2].sessions(ofUser: Self.subject).map(\.handle)
                        #expect(Set(live) == Set(ids.suffix(3).map(\.handle)))
                    }
                    #expect(try await stores[0].session(for: other) != nil)
                    for id in ids.prefix(3) { #expect(try await stores[1].session(for: id) == nil) }
                }
            }
        }

        private func configuration(_ server: RedisServer, isSealed: Bool) throws -> RedisStoreConfiguration {
            var configuration = RedisStoreConfiguration(url: try RedisURL(server.url))
            if isSealed { configuration.keyring = try SessionKeyring(SessionKeyring.generateKey()) }
            return configuration
        }
    }
}

extension TokenSet {
    /// Tokens whose ID token names the provider's session.
    static func withProviderSession(_ sid: String) -> TokenSet {
        var tokens = sample()
        tokens.idToken = "e30.\(Base64URL.encode(Array("{\"sid\":\"\(sid)\"}".utf8))).c2ln"
        return tokens
    }
}
