import CloakroomRedis
import Logging
import ServiceLifecycle

/// Looks once at how Redis is set up, as soon as it can be reached, and says in the log what endangers sessions. Nothing
/// waits for it.
struct RedisHealthLog: Service {
    /// What the store does not notice, or not before it is too late.
    private static let names: Set<String> = [
        "role", "writes", "eviction", "evicted", "memory", "persistence", "saving", "lifetimes", "forms", "replicas",
        "clients", "clock", "tracking", "cluster",
    ]

    let configurations: [RedisStoreConfiguration]
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for configuration in configurations { await look(configuration) }
        }
        // A service that ends by itself would end the gateway.
        try? await gracefulShutdown()
    }

    private func look(_ configuration: RedisStoreConfiguration) async {
        // The store tells of its connections; this one is nobody's concern.
        let silent = Logger(label: "cloakroom.redis.health") { _ in SwiftLogNoOpLogHandler() }
        while !Task.isCancelled {
            let health = await RedisHealth.check(configuration, patience: .seconds(10), logger: silent)
            if health["reachable"]?.status != .fail {
                report(health, configuration.url)
                return
            }
            try? await Task.sleep(for: .seconds(10))
        }
    }

    private func report(_ health: RedisHealth, _ url: RedisURL) {
        for item in health.items where Self.names.contains(item.name) {
            guard item.status == .warn || item.status == .fail else { continue }
            var metadata: Logger.Metadata = ["check": "\(item.name)", "url": "\(url)", "found": "\(item.detail)"]
            if let remedy = item.remedy { metadata["remedy"] = "\(remedy)" }
            logger.warning("Redis is not configured well for sessions", metadata: metadata)
        }
    }
}
