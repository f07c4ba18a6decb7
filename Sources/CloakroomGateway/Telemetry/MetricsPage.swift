import Cloakroom
import CloakroomRedis
import NIOCore
import Synchronization

/// Puts together what a scrape gets: it always answers, and leaves out what can't be had in time.
struct MetricsPage: Sendable {
    /// How long whoever is asked may take.
    private static let deadline = Duration.seconds(1)
    /// How long an exact count may take.
    private static let countDeadline = Duration.seconds(10)

    let registry: MetricsRegistry
    let core: GatewayCore
    let store: any GatewayStore
    let redis: [RedisSessionStore]
    let version: String

    func text(_ format: MetricsText.Format, isExact: Bool) async -> String {
        async let servers = serverFamilies()
        async let sessions = sessionFamilies(isExact: isExact)
        async let counts = core.counts()
        var all = registry.families() + ProcessFacts.families()
        all.append(
            MetricFamily(
                "cloakroom_build_info", .gauge, "Which program this is.",
                [.init(labels: MetricFamily.labels([("version", version)]), value: .number(1))]))
        all += await counts.families(hasUpstream: core.upstream != nil)
        all += connectionFamilies()
        all += nearCacheFamilies()
        all += await sessions
        all += await servers
        return MetricsText.text(all, format)
    }

    private func connectionFamilies() -> [MetricFamily] {
        var all = [
            MetricFamily(
                "cloakroom_client_connections", .gauge, "Connections of clients.", Double(core.connections.current)),
            MetricFamily(
                "cloakroom_client_connections_max", .gauge, "Connections that clients may have.",
                Double(core.connections.limit)),
            MetricFamily("cloakroom_event_streams", .gauge, "Event streams of pages.", Double(core.live.streamCount)),
        ]
        guard let upstream = core.upstream else { return all }
        let (taken, waiting) = upstream.places.counts
        all += [
            MetricFamily(
                "cloakroom_upstream_requests_active", .gauge, "Requests with the upstream.", Double(taken)),
            MetricFamily(
                "cloakroom_upstream_requests_max", .gauge, "Requests that may be with the upstream.",
                Double(upstream.limit)),
            MetricFamily(
                "cloakroom_upstream_queue", .gauge, "Requests that wait for a place at the upstream.", Double(waiting)),
        ]
        return all
    }

    private func nearCacheFamilies() -> [MetricFamily] {
        guard !redis.isEmpty else { return [] }
        let usage = redis.map(\.nearCacheUsage)
        return [
            MetricFamily(
                "cloakroom_near_cache_entries", .gauge, "Sessions in the near cache.",
                Double(usage.reduce(0) { $0 + $1.entries })),
            MetricFamily(
                "cloakroom_near_cache_bytes", .gauge, "About how many bytes they take.",
                Double(usage.reduce(0) { $0 + $1.bytes })),
        ]
    }

    private func sessionFamilies(isExact: Bool) async -> [MetricFamily] {
        let store = store
        async let isUp = valueInTime(Self.deadline) { (try? await store.ping()) != nil }
        async let estimate = valueInTime(Self.deadline) {
            try? await (store as? any SessionEstimate)?.estimatedSessionCount()
        }
        var exact: Int?
        if isExact { exact = await valueInTime(Self.countDeadline) { try? await store.sessionCount() } ?? nil }
        var all = [
            MetricFamily("cloakroom_store_up", .gauge, "Whether the store answers.", await isUp == true ? 1 : 0)
        ]
        if let count = await estimate ?? nil {
            all.append(
                MetricFamily("cloakroom_sessions_active", .gauge, "About how many sessions there are.", Double(count)))
        }
        if let exact {
            all.append(
                MetricFamily("cloakroom_sessions_active_exact", .gauge, "How many sessions there are.", Double(exact)))
        }
        return all
    }

    private func serverFamilies() async -> [MetricFamily] {
        var facts: [RedisServerFacts] = []
        for store in redis { facts += await store.serverFacts(within: Self.deadline) }
        guard !facts.isEmpty else { return [] }
        func family(
            _ name: String, _ help: String, _ kind: MetricFamily.Kind = .gauge, _ value: (RedisServerFacts) -> Int?
        ) -> MetricFamily {
            MetricFamily(
                name, kind, help,
                facts.compactMap { server in
                    value(server).map {
                        .init(labels: MetricFamily.labels([("server", server.server)]), value: .number(Double($0)))
                    }
                })
        }
        return [
            family("cloakroom_redis_up", "Whether the server answers.") { $0.isUp ? 1 : 0 },
            family("cloakroom_redis_clients", "Clients that the server has.") { $0.clients },
            family("cloakroom_redis_clients_max", "Clients that it may have.") { $0.maximumClients },
            family("cloakroom_redis_memory_bytes", "Memory that it uses.") { $0.memory },
            family("cloakroom_redis_memory_max_bytes", "Memory that it may use; 0 for no limit.") { $0.maximumMemory },
            family("cloakroom_redis_keys", "Keys that it has.") { $0.keys },
            family("cloakroom_redis_evicted_keys_total", "Keys that it threw away for want of memory.", .counter) {
                $0.evictedKeys
            },
            family("cloakroom_redis_expired_keys_total", "Keys whose time was over.", .counter) { $0.expiredKeys },
        ]
    }
}
