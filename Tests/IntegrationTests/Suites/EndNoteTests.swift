import Cloakroom
import CloakroomRedis
import Foundation
import Synchronization
import TestSupport
import Testing

extension Integration {
    /// Why sessions ended, as replicas that share a Redis tell each other.
    @Suite struct EndNoteTests {
        private final class Listener: SessionEventListener {
            private let state = Mutex<[SessionHandle: SessionEndReason]>([:])
            func receive(_ event: SessionEvent) {
                guard case .ended(let reason) = event.kind, let session = event.session else { return }
                state.withLock { $0[session] = reason }
            }
            subscript(id: SessionID) -> SessionEndReason? { state.withLock { $0[id.handle] } }
        }

        private func configuration(
            _ listener: Listener, _ url: String, isSealed: Bool = false, key: String? = nil
        ) throws -> RedisStoreConfiguration {
            var configuration = RedisStoreConfiguration(url: try RedisURL(url))
            if let key, isSealed { configuration.keyring = try SessionKeyring(key) }
            configuration.events = SessionEvents()
            configuration.events?.add(listener)
            return configuration
        }

        /// Has both replicas hold a session in memory, where its end is heard of.
        private func warm(_ stores: [RedisSessionStore], _ id: SessionID) async throws {
            for store in stores {
                try await eventually("the session is kept") {
                    _ = try await store.session(for: id)
                    return store.nearSession(for: id) != nil
                }
            }
        }

        /// Each reason for which a replica ends a session, and how.
        private static let ways: [(SessionEndReason, @Sendable (RedisSessionStore, SessionID) async throws -> Void)] = [
            (.logout, { try await $0.deleteSession($1) }),
            (
                .replaced,
                { store, id in try await SessionEndReason.replaced.around { try await store.deleteSession(id) } }
            ),
            (.revokedByUser, { _ = try await $0.deleteSession($1.handle, ofUser: UserInfo.jane.subject ?? "") }),
            (.revokedByOperator, { _ = try await $0.deleteSession($1.handle, ofUser: nil) }),
            (
                .revokedByProvider,
                { store, _ in
                    try await SessionEndReason.revokedByProvider.around {
                        _ = try await store.deleteSessions(ofUser: UserInfo.jane.subject ?? "", except: nil)
                    }
                }
            ),
            (.invalidGrant, { _ = try await $0.deleteSession($1, ifTokensAre: .sample()) }),
            (.logout, { try await $0.deleteSession($1, tombstoneUntil: Date().addingTimeInterval(60)) }),
            (
                .limit,
                { store, _ in
                    // Redis counts in milliseconds: the new one must be the younger.
                    let now = Date()
                    try await eventually("a moment has passed") { Date().timeIntervalSince(now) > 0.002 }
                    _ = try await store.createSession(tokens: .sample("next"), userInfo: .jane)
                }
            ),
        ]

        private func everyReason(_ url: String, isSealed: Bool) async throws {
            let key = SessionKeyring.generateKey()
            let listeners = [Listener(), Listener()]
            let configurations = try listeners.map { try configuration($0, url, isSealed: isSealed, key: key) }
            try await withStores(configurations, policy: SessionPolicy(maximumPerUser: 1)) { stores in
                for (reason, end) in Self.ways {
                    _ = try await stores[0].deleteAllSessions()
                    let id = try await stores[1].createSession(tokens: .sample(), userInfo: .jane)
                    try await warm(stores, id)
                    try await end(stores[0], id)
                    for (listener, store) in zip(listeners, stores) {
                        try await eventually("\(reason) is told") { listener[id] != nil }
                        #expect(listener[id] == reason)
                        try await eventually("\(reason) is noted") {
                            try await store.endReason(of: id.handle) == reason
                        }
                    }
                }
            }
        }

        @Test("R20: the other replica tells the true reason, whichever it is", arguments: [false, true])
        func trueReason(isSealed: Bool) async throws {
            try await RedisServer.run { try await everyReason($0.url, isSealed: isSealed) }
        }

        @Test("R20: so it does in a Redis Cluster, where a note is on another server than its session")
        func cluster() async throws {
            try await ClusterServers.run { try await everyReason($0.url, isSealed: false) }
        }

        @Test("R53: a note lasts ten minutes, counts as no session, and invented IDs leave none")
        func keys() async throws {
            try await RedisServer.run { server in
                try await withStores(1, on: server, policy: SessionPolicy(maximumPerUser: 2)) { stores in
                    for _ in 0..<20 {
                        try await stores[0].deleteSession(SessionID())
                        _ = try await stores[0].deleteSession(SessionID().handle, ofUser: "jane")
                        try await stores[0].deleteSession(SessionID(), tombstoneUntil: Date().addingTimeInterval(1))
                    }
                    #expect(try server.cli("KEYS", "session-ended:*") == "")
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try await stores[0].deleteSession(id)
                    #expect(try server.cli("KEYS", "session-ended:*") == "session-ended:\(id.handle)")
                    let left = try #require(Int(try server.cli("TTL", "session-ended:\(id.handle)")))
                    #expect((590...600).contains(left))
                    #expect(try server.cli("GET", "session-ended:\(id.handle)") == "logout")
                    #expect(try await stores[0].sessionCount() == 0)
                    // What another program puts there is no reason.
                    try server.cli("SET", "session-ended:\(id.handle)", "nonsense")
                    #expect(try await stores[0].endReason(of: id.handle) == nil)
                    try server.cli("SETRANGE", "session-ended:\(id.handle)", "4000000", "x")
                    #expect(try await stores[0].endReason(of: id.handle) == nil)
                }
            }
        }

        @Test("no note makes an end fail: without the right to its key, with memory full, with scripts forgotten")
        func bestEffort() async throws {
            try await RedisServer.run { server in
                try server.cli(
                    "ACL", "SETUSER", "app", "on", ">s3cret", "~session:*", "~session-index:*", "+@all")
                let listeners = [Listener(), Listener()]
                let url = "redis://app:s3cret@127.0.0.1:\(server.port)/0"
                let configurations = [
                    try configuration(listeners[0], url), try configuration(listeners[1], server.url),
                ]
                try await withStores(configurations) { stores in
                    for (reason, end) in Self.ways.prefix(7) {
                        let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                        try await warm(stores, id)
                        try await end(stores[0], id)
                        // What the other has in its near cache may be a few milliseconds old.
                        try await eventually("the other knows no session", within: .milliseconds(100)) {
                            try await stores[1].session(for: id) == nil
                        }
                        #expect(listeners[0][id] == reason, "it knows itself")
                        try await eventually("the other hears of it") { listeners[1][id] != nil }
                        #expect(listeners[1][id] == .elsewhere, "there is no note")
                    }
                    #expect(try server.cli("KEYS", "session-ended:*") == "")

                    let full = try await stores[1].createSession(tokens: .sample(), userInfo: .jane)
                    try server.cli("CONFIG", "SET", "maxmemory", "1")
                    try await stores[1].deleteSession(full)
                    try server.cli("CONFIG", "SET", "maxmemory", "0")
                    #expect(try await stores[1].session(for: full) == nil)

                    // As after a restart: the end and its note are both told for what they are.
                    let id = try await stores[1].createSession(tokens: .sample(), userInfo: .jane)
                    try server.cli("SCRIPT", "FLUSH")
                    #expect(try await stores[1].deleteSession(id.handle, ofUser: UserInfo.jane.subject ?? ""))
                    #expect(try await stores[1].endReason(of: id.handle) == .revokedByUser)
                }
            }
        }

        @Test("a session that another program deletes has ended elsewhere")
        func deletedByHand() async throws {
            try await RedisServer.run { server in
                let listener = Listener()
                try await withStores([try configuration(listener, server.url)]) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try await warm(stores, id)
                    try server.cli("DEL", "session:\(id.secret)")
                    try await eventually("it is heard of") { listener[id] != nil }
                    #expect(listener[id] == .elsewhere)
                }
            }
        }
    }
}
