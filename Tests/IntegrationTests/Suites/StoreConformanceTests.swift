import Cloakroom
import CloakroomRedis
import TestSupport
import Testing

extension Integration {
    /// Every promise of every protocol, over every kind of store.
    @Suite struct StoreConformanceTests {
        private static let key = SessionKeyring.generateKey()

        @Test("one Redis, plain: lists, moves, leases")
        func plain() async throws {
            try await RedisServer.run {
                try await ConformanceRun.conform(url: $0.url, checks: ConformanceRun.furtherChecks)
            }
        }

        @Test("one Redis, sealed and compressed: lists, moves, leases")
        func sealed() async throws {
            try await RedisServer.run { server in
                try await ConformanceRun.conform(url: server.url, checks: ConformanceRun.furtherChecks) {
                    $0.keyring = try SessionKeyring(Self.key)
                    $0.compressionThreshold = 100
                }
            }
        }

        @Test("one Redis without the near cache")
        func withoutNearCache() async throws {
            try await RedisServer.run { server in
                try await ConformanceRun.conform(url: server.url) { $0.nearCache = nil }
            }
        }

        @Test("Redis behind Sentinel, writes confirmed by a replica")
        func sentinel() async throws {
            try await SentinelServers.run { servers in
                try await ConformanceRun.conform(url: servers.url) {
                    $0.waitReplicas = 1
                    $0.waitTimeout = .seconds(5)
                }
            }
        }

        /// Both side by side: most of the time each waits for something to end by itself.
        private func both(_ body: @escaping @Sendable (Bool) async throws -> Void) async {
            await sideBySide([false, true]) { choice in
                do {
                    try await body(choice)
                } catch {
                    Issue.record("\(choice): \(error)")
                }
            }
        }

        @Test("Redis Cluster, plain and sealed")
        func cluster() async {
            await both { isSealed in
                try await ClusterServers.run { servers in
                    try await ConformanceRun.conform(url: servers.url) {
                        if isSealed { $0.keyring = try SessionKeyring(Self.key) }
                    }
                }
            }
        }

        @Test("Redis over TLS")
        func encrypted() async throws {
            try await TestCertificates.run { certificates in
                try await RedisServer.run(certificates) { server in
                    let caFile = certificates.path("ca.crt")
                    try await ConformanceRun.conform(url: server.urlWithTLS, divisor: 5) { $0.tls.caFile = caFile }
                }
            }
        }

        @Test("behind Sentinel and in a Cluster, all over TLS")
        func encryptedTopologies() async {
            await both { isCluster in
                try await TestCertificates.run { certificates in
                    let caFile = certificates.path("ca.crt")
                    if isCluster {
                        try await ClusterServers.run(certificates: certificates) { servers in
                            try await ConformanceRun.conform(url: servers.url, divisor: 5) { $0.tls.caFile = caFile }
                        }
                    } else {
                        var options = SentinelServers.Options()
                        options.certificates = certificates
                        options.password = "server-password"
                        options.sentinelPassword = "sentinel-password"
                        try await SentinelServers.run(options) { servers in
                            try await ConformanceRun.conform(url: servers.url, divisor: 5) {
                                $0.tls.caFile = caFile
                                $0.sentinelPassword = "sentinel-password"
                            }
                        }
                    }
                }
            }
        }

        @Test("hybrid: memory to Redis")
        func memoryToRedis() async throws {
            try await RedisServer.run { server in
                let url = try RedisURL(server.url)
                await ConformanceRun.conform(divisor: 5) { policy, prefix in
                    let redis = try ConformanceRun.redisStores(url, prefix, policy)
                    let memory = InMemorySessionStore(policy: policy, logger: silent)
                    let hybrids = redis.map {
                        HybridSessionStore(primary: $0, secondary: memory, policy: policy, logger: silent)
                    }
                    return (hybrids, redis + hybrids)
                }
            }
        }

        @Test("hybrid: one Redis to another")
        func redisToRedis() async throws {
            try await RedisServer.run { old in
                try await RedisServer.run { new in
                    let urls = (old: try RedisURL(old.url), new: try RedisURL(new.url))
                    await ConformanceRun.conform(divisor: 5) { policy, prefix in
                        let primaries = try ConformanceRun.redisStores(urls.new, prefix, policy)
                        let secondaries = try ConformanceRun.redisStores(urls.old, prefix, policy)
                        let hybrids = zip(primaries, secondaries).map {
                            HybridSessionStore(primary: $0, secondary: $1, policy: policy, logger: silent)
                        }
                        return (hybrids, primaries + secondaries + hybrids)
                    }
                }
            }
        }

        @Test("hybrid: plain to sealed")
        func plainToSealed() async throws {
            try await RedisServer.run { server in
                let url = try RedisURL(server.url)
                await ConformanceRun.conform(divisor: 5) { policy, prefix in
                    let primaries = try ConformanceRun.redisStores(url, "new-" + prefix, policy) {
                        $0.keyring = try SessionKeyring(Self.key)
                    }
                    let secondaries = try ConformanceRun.redisStores(url, prefix, policy)
                    let hybrids = zip(primaries, secondaries).map {
                        HybridSessionStore(primary: $0, secondary: $1, policy: policy, logger: silent)
                    }
                    return (hybrids, primaries + secondaries + hybrids)
                }
            }
        }
    }
}
