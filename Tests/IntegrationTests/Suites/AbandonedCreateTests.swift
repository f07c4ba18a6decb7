import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

extension Integration {
    /// Logins that fail though Redis carries them out afterwards.
    @Suite struct AbandonedCreateTests {
        @Test(
            "a create that is carried out after its caller was told of a failure leaves no session, and no entry in a list",
            arguments: [nil, 3], [false, true])
        func removal(limit: Int?, isSealed: Bool) async throws {
            try await RedisServer.run { server in
                let proxy = try await RoundTripCounter(before: server)
                var configuration = RedisStoreConfiguration(
                    url: try RedisURL(proxy.url), commandTimeout: .milliseconds(300))
                if isSealed { configuration.keyring = try SessionKeyring(SessionKeyring.generateKey()) }
                try await withStores([configuration], policy: SessionPolicy(maximumPerUser: limit)) { stores in
                    let store = stores[0]
                    let kept = try await store.createSession(tokens: .sample(), userInfo: UserInfo(subject: "kept"))
                    try server.cli("CONFIG", "RESETSTAT")
                    proxy.losesReplies = true
                    await withTaskGroup(of: SessionStoreError?.self) { group in
                        for number in 0..<20 {
                            group.addTask {
                                let info = UserInfo(subject: "user-\(number)")
                                do {
                                    _ = try await store.createSession(tokens: .sample(), userInfo: info)
                                } catch {
                                    return error as? SessionStoreError
                                }
                                return nil
                            }
                        }
                        for await error in group {
                            #expect(error?.code == .unavailable && error?.isOutcomeKnown == false)
                        }
                    }
                    let created = { try server.cli("INFO", "commandstats").contains(#/cmdstat_(set|eval|evalsha):/#) }
                    try await eventually("Redis has carried them out") { try created() }
                    proxy.losesReplies = false
                    try await eventually("Redis answers again") { (try? await store.ping()) != nil }
                    try await eventually("what nobody was given is gone") {
                        let keys = try server.cli("--scan", "--pattern", "*").split(separator: "\n")
                        // The one that is kept: its record, its user's list, and in the sealed form its summary.
                        return keys.count == (isSealed ? 3 : 2)
                    }
                    #expect(try await store.session(for: kept) != nil)
                    for number in 0..<20 {
                        #expect(try await store.sessions(ofUser: "user-\(number)").isEmpty)
                    }
                }
                await proxy.close()
            }
        }
    }
}
