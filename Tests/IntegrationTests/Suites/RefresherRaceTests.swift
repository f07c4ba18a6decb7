import Cloakroom
import CloakroomRedis
import Synchronization
import Testing

@testable import CloakroomOIDC

extension Integration {
    @Suite struct RefresherRaceTests {
        /// After a failover two replicas may hold the lease of one session: the first rotates, the second is refused.
        @Test(
            "R22, R24: invalid_grant against a rotation through another replica: 1,000 races, no rotated session is ended"
        )
        func invalidGrantAgainstRotation() async throws {
            try await RedisServer.run { server in
                try await withStores(2, on: server) { stores in
                    let refresher = TokenRefresher(
                        store: stores[0], issuer: "https://provider.example.com",
                        configuration: TokenRefresherConfiguration(), logger: silent
                    ) { _ async throws(OIDCError) in
                        try? await Task.sleep(for: .microseconds(Int.random(in: 0...1500)))
                        throw OIDCError(.invalidGrant, reason: "used before")
                    }
                    var rotated = 0
                    for _ in 0..<40 {
                        rotated += try await withThrowingTaskGroup(of: Int.self) { group in
                            for _ in 0..<25 { group.addTask { try await race(refresher, stores) } }
                            return try await group.reduce(0, +)
                        }
                    }
                    print("invalid_grant against rotation on Redis: 1000 races, \(rotated) rotated first")
                    #expect((1..<1000).contains(rotated), "the race went one way only")
                }
            }
        }

        /// - Returns: 1 when the other replica rotated the tokens.
        private func race(_ refresher: TokenRefresher, _ stores: [RedisSessionStore]) async throws -> Int {
            let id = try await stores[0].createSession(
                tokens: TokenSet(accessToken: "old", refreshToken: "refresh-1", expiresIn: 0), userInfo: .jane)
            let session = try #require(try await stores[0].session(for: id))
            async let outcome = refresher.freshSession(session, for: id)
            try await Task.sleep(for: .microseconds(Int.random(in: 0...4000)))
            let theirs = try await stores[1].refreshSession(
                id, tokens: TokenSet(accessToken: "theirs", refreshToken: "refresh-2", expiresIn: 300))
            let got = try await outcome
            let now = try await stores[1].session(for: id)
            guard theirs != nil else {
                #expect(got == .ended && now == nil)
                return 0
            }
            #expect(now?.tokens.refreshToken == "refresh-2")
            guard case .ready(let session) = got else {
                Issue.record("\(got)")
                return 1
            }
            #expect(session.tokens.accessToken == "theirs")
            return 1
        }
    }
}
