import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite struct DurabilityTests {
        private func withReplica(
            _ body: @Sendable (_ primary: RedisServer, _ replica: RedisServer) async throws -> Void
        ) async throws {
            try await RedisServer.run(["--repl-diskless-sync-delay", "0"]) { primary in
                try await RedisServer.run(["--replicaof", "127.0.0.1", "\(primary.port)"]) { replica in
                    // A replica counts as online up to a second before it is sent anything.
                    try primary.cli("SET", "first", "1", "EX", "60")
                    try await eventually("the replica is in step") {
                        try primary.cli("INFO", "replication").contains("state=online")
                            && replica.cli("GET", "first") == "1"
                    }
                    try primary.cli("SET", "second", "1", "EX", "60")
                    try await eventually("writes are passed on") { try replica.cli("GET", "second") == "1" }
                    try await body(primary, replica)
                }
            }
        }

        private func configuration(_ server: RedisServer, replicas: Int = 1) throws -> RedisStoreConfiguration {
            var configuration = RedisStoreConfiguration(url: try RedisURL(server.url), commandTimeout: .seconds(10))
            configuration.waitReplicas = replicas
            configuration.waitTimeout = .milliseconds(300)
            return configuration
        }

        @Test("R55: a create, refresh or delete that has returned is on the replica")
        func confirmed() async throws {
            try await withReplica { primary, replica in
                try await withStores([try configuration(primary)]) { stores in
                    for _ in 0..<50 {
                        let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                        #expect(try replica.cli("GET", "session:\(id.secret)").contains("access-first"))
                        try await stores[0].refreshSession(id, tokens: .sample("second"))
                        #expect(try replica.cli("GET", "session:\(id.secret)").contains("access-second"))
                        try await stores[0].deleteSession(id)
                        #expect(try replica.cli("EXISTS", "session:\(id.secret)") == "0")
                    }
                }
            }
        }

        @Test("R55: too few replicas are an error to the caller, in time; reads go on meanwhile")
        func notConfirmed() async throws {
            try await withReplica { primary, replica in
                try await withStores([try configuration(primary)]) { stores in
                    let store = stores[0]
                    let id = try await store.createSession(tokens: .sample(), userInfo: .jane)
                    // One for the last call: the create that is refused leaves none.
                    _ = try await store.createSession(tokens: .sample(), userInfo: .jane)
                    replica.pause()
                    let calls: [@Sendable () async throws -> Void] = [
                        { _ = try await store.createSession(tokens: .sample(), userInfo: .jane) },
                        { _ = try await store.refreshSession(id, tokens: .sample("second")) },
                        { try await store.deleteSession(id) },
                        { _ = try await store.deleteSessions(ofUser: UserInfo.jane.subject ?? "", except: nil) },
                    ]
                    for call in calls {
                        let start = ContinuousClock.now
                        async let failure = #expect(throws: SessionStoreError.self) { try await call() }
                        for _ in 0..<20 { _ = try await store.session(for: SessionID()) }
                        #expect(ContinuousClock.now - start < .milliseconds(280), "reads do not wait for replicas")
                        #expect(await failure?.code == .notReplicated)
                        #expect(ContinuousClock.now - start >= .milliseconds(290))
                    }
                    replica.resume()
                    #expect(try await store.session(for: id) == nil, "the logout was carried out all the same")
                }
                try await withStores([try configuration(primary, replicas: 2)]) { stores in
                    let error = await #expect(throws: SessionStoreError.self) {
                        try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    }
                    #expect(error?.reason.contains("1 of the wanted 2") == true)
                }
            }
        }
    }
}
