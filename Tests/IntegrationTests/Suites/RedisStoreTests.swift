import Cloakroom
import CloakroomRedis
import CloakroomTesting
import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite struct RedisStoreTests {
        @Test("conformance, Redis plain, two replicas")
        func conforms() async throws {
            try await RedisServer.run { server in
                try await ConformanceRun.conform(url: server.url, checks: StoreConformance.checks)
            }
        }

        @Test("R3: one-time records in Redis are taken once, by one replica of two")
        func oneTimeRecords() async throws {
            try await RedisServer.run { server in
                try await withStores(2, on: server) { stores in
                    try await OneTimeRecordConformance.check(stores[0], replica: stores[1])
                    try await stores[0].putRecord([1], key: "k", lifetime: .seconds(60))
                }
                #expect(try server.cli("KEYS", "session:*") == "", "people count sessions by this pattern")
                #expect(Int(try server.cli("TTL", "session-once:k")).map { (1...60).contains($0) } == true)
            }
        }

        @Test("R30: 10,000 races of logout against refresh over two replicas: none revives, no key lacks its TTL")
        func races() async throws {
            try await RedisServer.run { server in
                try await withStores(2, on: server) { stores in
                    try await StoreConformance.race(
                        count: 10_000, ConformanceSubject(store: stores[0], replica: stores[1]))
                }
                #expect(try server.keys() == [])
            }
        }

        @Test("the key, the JSON and the TTL are those of the contract")
        func storedForm() async throws {
            try await RedisServer.run { server in
                try await withStores(on: server) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    let key = "session:\(id.secret)"
                    #expect(try server.cli("KEYS", "session:*") == key)
                    #expect(try server.cli("TYPE", key) == "string")
                    let json = try #require(
                        try JSONSerialization.jsonObject(with: Data(try server.cli("GET", key).utf8)) as? [String: Any])
                    #expect(Set(json.keys) == ["tokens", "user_info", "created_at", "expires_at"])
                    let tokens = try #require(json["tokens"] as? [String: Any])
                    #expect(
                        Set(tokens.keys) == [
                            "access_token", "refresh_token", "id_token", "expires_in", "refresh_expires_in",
                        ])
                    #expect(tokens["expires_in"] as? Int == 300)
                    let created = try #require(json["created_at"] as? String)
                    #expect(created.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/) != nil)
                    let ttl = try #require(Int(try server.cli("TTL", key)))
                    #expect((28_790...28_800).contains(ttl))

                    try server.cli("EXPIRE", key, "5000")
                    _ = try await stores[0].refreshSession(id, tokens: .sample("second"))
                    #expect(
                        (4990...5000).contains(Int(try server.cli("TTL", key)) ?? 0), "R18: a refresh keeps the TTL")
                    #expect(try server.cli("GET", key).contains("access-second"))
                }
            }
        }

        @Test("a key without TTL, which another program must have left, gets the session's end at the next refresh")
        func missingTimeToLive() async throws {
            try await RedisServer.run { server in
                try await withStores(on: server) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try server.cli("PERSIST", "session:\(id.secret)")
                    _ = try await stores[0].refreshSession(id, tokens: .sample("second"))
                    #expect((28_790...28_800).contains(Int(try server.cli("TTL", "session:\(id.secret)")) ?? 0))
                }
            }
        }

        @Test("a session that another program wrote is accepted, and what it added survives a refresh")
        func foreignSession() async throws {
            try await RedisServer.run { server in
                try await withStores(on: server) { stores in
                    let id = try #require(SessionID("550e8400-e29b-41d4-a716-446655440000"))
                    let end = ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: 3600))
                    let record = """
                        {"tokens": {"access_token": "a", "refresh_token": null, "scope": "openid"}, "user_info": {"sub": "s"},
                         "created_at": "2024-01-15T10:30:00.123456+00:00", "expires_at": "\(end)", "cart": [1.50, 12345678901234567890]}
                        """
                    try server.cli("SET", "session:\(id.secret)", record, "EX", "3600")
                    #expect(try await stores[0].session(for: id)?.userInfo.subject == "s")
                    #expect(
                        try await stores[0].refreshSession(id, tokens: .sample("second"))?.tokens.accessToken
                            == "access-second")
                    let stored = try server.cli("GET", "session:\(id.secret)")
                    #expect(
                        stored.contains(#""cart":[1.50,12345678901234567890]"#) && stored.contains(#""scope":"openid""#)
                    )
                }
            }
        }

        @Test("what is no session is absent, logged once by its handle, counted each time, and left in place")
        func unreadableRecords() async throws {
            let before = CountedMetrics.total("cloakroom_session_records_unreadable_total")
            try await RedisServer.run { server in
                let log = RecordingLog()
                try await withStores(on: server, timeout: .seconds(30), logger: log.logger) { stores in
                    let good = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    let text = try server.cli("GET", "session:\(good.secret)")
                    let large = server.directory.appending(path: "large.lua")
                    var ids: [SessionID] = []
                    for record in [String(text.dropLast(20)), "[]", "s3cret", #"{"tokens":1}"#, "\u{0}", ""] {
                        let id = SessionID()
                        try server.cli("SET", "session:\(id.secret)", record, "EX", "600")
                        ids.append(id)
                    }
                    for size in [1_100_000, 10_000_000] {
                        let id = SessionID()
                        try "redis.call('SET', KEYS[1], string.rep('x', \(size)), 'EX', 600)"
                            .write(to: large, atomically: true, encoding: .utf8)
                        try server.cli("--eval", large.path, "session:\(id.secret)")
                        #expect(try server.cli("STRLEN", "session:\(id.secret)") == "\(size)")
                        ids.append(id)
                    }
                    let list = SessionID()
                    try server.cli("RPUSH", "session:\(list.secret)", "a")
                    ids.append(list)

                    for _ in 0..<3 {
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            for id in ids {
                                group.addTask {
                                    let session = try await stores[0].session(for: id)
                                    #expect(session == nil)
                                }
                                group.addTask {
                                    let session = try await stores[0].session(for: good)
                                    #expect(session?.userInfo == .jane)
                                }
                            }
                            try await group.waitForAll()
                        }
                    }
                    #expect(try await stores[0].refreshSession(ids[0], tokens: .sample()) == nil)
                    for id in ids {
                        #expect(try server.cli("EXISTS", "session:\(id.secret)") == "1")
                        let lines = log.lines.filter { $0.contains(id.handle.description) }
                        #expect(lines.count == 1 && lines[0].hasPrefix("error:"))
                        #expect(!log.lines.contains { $0.contains(id.secret) || $0.contains("s3cret") })
                    }
                    #expect(
                        log.lines.allSatisfy { !$0.contains("connection lost") }, "the connections served all of it"
                    )
                    let counted = CountedMetrics.total("cloakroom_session_records_unreadable_total") - before
                    #expect(counted == Int64(ids.count * 3 + 1))
                }
            }
        }

        @Test("a session too large for the store is refused with an error that says so")
        func tooLarge() async throws {
            try await RedisServer.run { server in
                try await withStores(on: server) { stores in
                    let error = await #expect(throws: SessionStoreError.self) {
                        try await stores[0].createSession(
                            tokens: TokenSet(accessToken: String(repeating: "x", count: 1 << 20)), userInfo: .jane)
                    }
                    #expect(error?.code == .tooLarge)
                    let size = try server.cli("DBSIZE")
                    #expect(size == "0")
                }
            }
        }

        @Test("another prefix and database are used to the letter")
        func prefixAndDatabase() async throws {
            try await RedisServer.run { server in
                let url = "redis://127.0.0.1:\(server.port)/7"
                try await withStores(on: server, url: url, prefix: "shop:s:") { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    #expect(try server.cli("-n", "7", "KEYS", "shop:s:*") == "shop:s:\(id.secret)")
                    #expect(try server.cli("-n", "7", "KEYS", "session*") == "")
                }
            }
        }
    }
}
