import Cloakroom
import CloakroomRedis
import CloakroomTesting
import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite struct SealedStoreTests {
        private static let subject = UserInfo.jane.subject ?? ""

        enum Form: String, CaseIterable, Sendable {
            case sealed, compressed, sealedAndCompressed
        }

        @Test("conformance, two replicas", arguments: Form.allCases)
        func conforms(_ form: Form) async throws {
            let keyring = try SessionKeyring(SessionKeyring.generateKey())
            try await RedisServer.run { server in
                try await ConformanceRun.conform(url: server.url, checks: StoreConformance.checks) { configuration in
                    if form != .compressed { configuration.keyring = keyring }
                    if form != .sealed { configuration.compressionThreshold = 100 }
                }
            }
        }

        /// Stores as replicas of one deployment: plain, with keys but only opening, and sealing.
        private func withDeployment(
            _ server: RedisServer, policy: SessionPolicy = SessionPolicy(), logger: RecordingLog = RecordingLog(),
            _ body:
                @Sendable (_ plain: RedisSessionStore, _ opening: RedisSessionStore, _ sealing: RedisSessionStore)
                async throws -> Void
        ) async throws {
            var plain = RedisStoreConfiguration(url: try RedisURL(server.url), commandTimeout: .seconds(10))
            plain.compressionThreshold = nil
            var sealing = plain
            sealing.keyring = try SessionKeyring(SessionKeyring.generateKey())
            var opening = sealing
            opening.seals = false
            try await withStores([plain, opening, sealing], policy: policy, logger: logger.logger) { stores in
                try await body(stores[0], stores[1], stores[2])
            }
        }

        @Test("R41: what Redis holds of a sealed session tells neither a token nor the ID nor the user")
        func dump() async throws {
            try await RedisServer.run { server in
                try await withDeployment(server) { _, _, sealing in
                    let id = try await sealing.createSession(
                        tokens: .withProviderSession("provider-session"), userInfo: .jane)
                    try await sealing.refreshSession(id, tokens: .sample("second"))
                    let keys = try server.cli("KEYS", "*").split(separator: "\n").map(String.init)
                    #expect(keys.filter { $0.hasPrefix("session:sha256:") }.count == 1 && keys.count == 4)
                    var dump = keys.joined(separator: "\n")
                    for key in keys {
                        switch try server.cli("TYPE", key) {
                        case "string": dump += try server.cli("GET", key)
                        default: dump += try server.cli("ZRANGE", key, "0", "-1", "WITHSCORES")
                        }
                    }
                    for secret in [id.secret, "access-", "refresh-", "jane", "Jane", Self.subject, "provider-session"] {
                        #expect(!dump.contains(secret), "\(secret)")
                    }
                }
            }
        }

        @Test("a plain session is sealed at its next refresh, keeps its TTL and handle, and is in its lists once")
        func upgrade() async throws {
            try await RedisServer.run { server in
                try await withDeployment(server) { plain, opening, sealing in
                    let id = try await plain.createSession(tokens: .withProviderSession("s1"), userInfo: .jane)
                    try server.cli("EXPIRE", "session:\(id.secret)", "5000")
                    for store in [opening, sealing] { #expect(try await store.session(for: id)?.userInfo == .jane) }
                    let refreshed = try await sealing.refreshSession(id, tokens: .sample("second"))
                    #expect(refreshed?.tokens.accessToken == "access-second")
                    let keys = try server.cli("KEYS", "session:*")
                    #expect(keys.hasPrefix("session:sha256:") && !keys.contains("\n"))
                    #expect((4900...5000).contains(Int(try server.cli("TTL", keys)) ?? 0))
                    for store in [opening, sealing] {
                        #expect(try await store.session(for: id) == refreshed)
                        #expect(try await store.sessions(ofUser: Self.subject).map(\.handle) == [id.handle])
                    }
                    // One that only opens leaves a sealed session sealed.
                    let again = try await opening.refreshSession(id, tokens: .sample("third"))
                    #expect(try server.cli("KEYS", "session:*") == keys)
                    #expect(try await sealing.session(for: id) == again)
                    #expect(try await plain.deleteSessions(ofUser: Self.subject, except: nil) == 1)
                    #expect(try await sealing.session(for: id) == nil)
                }
            }
        }

        @Test("R30: no logout is undone by the sealing of a plain session, and no reader misses it on the way")
        func upgradeRaces() async throws {
            try await RedisServer.run { server in
                try await withDeployment(server) { plain, opening, sealing in
                    for round in 0..<40 {
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            for task in 0..<50 {
                                group.addTask {
                                    let id = try await plain.createSession(tokens: .sample(), userInfo: .jane)
                                    async let refreshed = sealing.refreshSession(id, tokens: .sample("second"))
                                    if (round + task).isMultiple(of: 2) {
                                        for store in [sealing, opening, sealing] {
                                            let read = try await store.session(for: id)
                                            #expect(read != nil, "it is live all the while")
                                        }
                                        _ = try await refreshed
                                    }
                                    for _ in 0..<Int.random(in: 0...8) { await Task.yield() }
                                    try await (task.isMultiple(of: 3) ? opening : sealing).deleteSession(id)
                                    _ = try await refreshed
                                    for store in [sealing, opening] {
                                        let read = try await store.session(for: id)
                                        #expect(read == nil, "it has ended")
                                    }
                                }
                            }
                            try await group.waitForAll()
                        }
                    }
                }
                #expect(try server.cli("KEYS", "session:*") == "")
            }
        }

        @Test(
            "R41: a record that was altered, cut off, moved or sealed with a lost key ends that session alone, and is logged once"
        )
        func tampering() async throws {
            try await RedisServer.run { server in
                let log = RecordingLog()
                try await withDeployment(server, logger: log) { _, _, sealing in
                    var ids: [SessionID] = []
                    var keys: [String] = []
                    for _ in 0..<5 {
                        ids.append(try await sealing.createSession(tokens: .sample(), userInfo: .jane))
                        keys.append("session:" + RecordName.sealed(ids[ids.count - 1]).text)
                    }
                    try server.cli("COPY", keys[4], keys[0], "REPLACE")
                    try server.cli("SETRANGE", keys[1], "60", "\u{1}\u{2}\u{3}")
                    try server.cli(
                        "EVAL", "redis.call('SET', KEYS[1], redis.call('GETRANGE', KEYS[1], 0, -2), 'PX', 60000)", "1",
                        keys[2])
                    try server.cli("SETRANGE", keys[3], "2", "abcd")
                    for round in 0..<2 {
                        for id in ids[..<4] { #expect(try await sealing.session(for: id) == nil, "round \(round)") }
                        #expect(try await sealing.session(for: ids[4])?.userInfo == .jane)
                    }
                    for id in ids[..<4] {
                        let lines = log.lines.filter { $0.contains(id.handle.description) }
                        #expect(lines.count == 1 && lines[0].hasPrefix("error"))
                        #expect(!log.lines.contains { $0.contains(id.secret) })
                        #expect(try await sealing.refreshSession(id, tokens: .sample()) == nil)
                        try await sealing.deleteSession(id)
                    }
                }
                #expect(try server.keys().count == 3, "the one session that is left, its index and its summary")
            }
        }

        @Test("keys are rotated one replica after the other with nobody logged out")
        func rotation() async throws {
            try await RedisServer.run { server in
                let (old, new) = (SessionKeyring.generateKey(), SessionKeyring.generateKey())
                let configurations = try [old, "\(old),\(new)", "\(new),\(old)", new].map { keys in
                    var configuration = RedisStoreConfiguration(url: try RedisURL(server.url))
                    configuration.keyring = try SessionKeyring(keys)
                    return configuration
                }
                try await withStores(configurations) { stores in
                    var id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    for pair in [(0, 1), (2, 1), (1, 2)] {
                        #expect(try await stores[pair.0].refreshSession(id, tokens: .sample("\(pair.0)")) != nil)
                        #expect(try await stores[pair.1].session(for: id)?.tokens == .sample("\(pair.0)"))
                        #expect(try await stores[pair.1].sessions(ofUser: Self.subject).count == 1)
                    }
                    #expect(try await stores[3].session(for: id) == nil, "without its key it is no session")
                    id = try await stores[2].createSession(tokens: .sample(), userInfo: .jane)
                    #expect(try await stores[3].session(for: id) != nil)
                }
            }
        }
    }
}
