import Cloakroom
import CloakroomRedis
import CloakroomTesting
import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import Testing

extension Integration {
    /// Every promise of every protocol, over every kind of store.
    @Suite struct StoreConformanceTests {
        private static let checks =
            StoreConformance.checks + StoreConformance.directoryChecks + StoreConformance.transferChecks
            + StoreConformance.leaseChecks

        /// Puts stores to all checks on the same servers, each check under key prefixes of its own.
        ///
        /// - Parameter make: makes a store and a replica of it, and says what must run for them.
        private func conform(
            _ checks: [StoreConformance.Check] = checks,
            _ make:
                @escaping @Sendable (SessionPolicy, _ prefix: String) throws -> (
                    stores: [any SessionStore], services: [any Service]
                )
        ) async {
            for (number, check) in checks.enumerated() {
                do {
                    let outcome = try await check.run { policy in
                        let (stores, services) = try make(policy, "check-\(number):session:")
                        let running = services.map { service in Task { try await service.run() } }
                        for store in stores { try await eventually("it connects") { (try? await store.ping()) != nil } }
                        return ConformanceSubject(store: stores[0], replica: stores[1]) {
                            for task in running { task.cancel() }
                        }
                    }
                    #expect(outcome == .passed, "\(check)")
                } catch {
                    Issue.record("\(check): \(error)")
                }
            }
        }

        /// Two replicas of a Redis store.
        private func conform(
            url: String, checks: [StoreConformance.Check] = checks,
            _ adjust: @escaping @Sendable (inout RedisStoreConfiguration) throws -> Void = { _ in }
        ) async throws {
            let parsed = try RedisURL(url)
            await conform(checks) { policy, prefix in
                let stores = try Self.redisStores(parsed, prefix, policy, adjust)
                return (stores, stores)
            }
        }

        private static func redisStores(
            _ url: RedisURL, _ prefix: String, _ policy: SessionPolicy,
            _ adjust: (inout RedisStoreConfiguration) throws -> Void = { _ in }
        ) throws -> [RedisSessionStore] {
            var configuration = RedisStoreConfiguration(url: url, keyPrefix: prefix, commandTimeout: .seconds(10))
            try adjust(&configuration)
            return (0..<2).map { _ in RedisSessionStore(configuration: configuration, policy: policy, logger: silent) }
        }

        private static let key = SessionKeyring.generateKey()

        @Test("one Redis, plain: lists, moves, leases")
        func plain() async throws {
            try await RedisServer.run {
                try await conform(url: $0.url, checks: Array(Self.checks.dropFirst(StoreConformance.checks.count)))
            }
        }

        @Test("one Redis, sealed and compressed: lists, moves, leases")
        func sealed() async throws {
            try await RedisServer.run { server in
                try await conform(url: server.url, checks: Array(Self.checks.dropFirst(StoreConformance.checks.count)))
                {
                    $0.keyring = try SessionKeyring(Self.key)
                    $0.compressionThreshold = 100
                }
            }
        }

        @Test("one Redis without the near cache")
        func withoutNearCache() async throws {
            try await RedisServer.run { server in try await conform(url: server.url) { $0.nearCache = nil } }
        }

        @Test("Redis behind Sentinel, writes confirmed by a replica")
        func sentinel() async throws {
            try await SentinelServers.run { servers in
                try await conform(url: servers.url) {
                    $0.waitReplicas = 1
                    $0.waitTimeout = .seconds(5)
                }
            }
        }

        @Test("Redis Cluster, plain and sealed", arguments: [false, true])
        func cluster(isSealed: Bool) async throws {
            try await ClusterServers.run { servers in
                try await conform(url: servers.url) { if isSealed { $0.keyring = try SessionKeyring(Self.key) } }
            }
        }

        @Test("Redis over TLS")
        func encrypted() async throws {
            try await TestCertificates.run { certificates in
                try await RedisServer.run(certificates) { server in
                    let caFile = certificates.path("ca.crt")
                    try await conform(url: server.urlWithTLS) { $0.tls.caFile = caFile }
                }
            }
        }

        @Test("hybrid: memory to Redis")
        func memoryToRedis() async throws {
            try await RedisServer.run { server in
                let url = try RedisURL(server.url)
                await conform { policy, prefix in
                    let redis = try Self.redisStores(url, prefix, policy)
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
                    await conform { policy, prefix in
                        let primaries = try Self.redisStores(urls.new, prefix, policy)
                        let secondaries = try Self.redisStores(urls.old, prefix, policy)
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
                await conform { policy, prefix in
                    let primaries = try Self.redisStores(url, "new-" + prefix, policy) {
                        $0.keyring = try SessionKeyring(Self.key)
                    }
                    let secondaries = try Self.redisStores(url, prefix, policy)
                    let hybrids = zip(primaries, secondaries).map {
                        HybridSessionStore(primary: $0, secondary: $1, policy: policy, logger: silent)
                    }
                    return (hybrids, primaries + secondaries + hybrids)
                }
            }
        }
    }
}
