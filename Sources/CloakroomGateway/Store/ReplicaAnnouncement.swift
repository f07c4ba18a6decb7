import Cloakroom
import CloakroomRedis
import Foundation
import Logging
import ServiceLifecycle

/// Says in Redis, for as long as this replica runs, that it does and how it is set up, so that `cloakroom check` can say
/// which replicas differ.
///
/// It matters to nobody else: a failure is tried again, and logged at debug level only.
struct ReplicaAnnouncement: Service {
    private static let interval = Duration.seconds(20)
    /// After one that failed, as Redis may be back soon.
    private static let pauseAfterFailure = Duration.seconds(5)

    let settings: GatewaySettings
    /// Where to say it, with the prefix of the sessions there.
    let stores: [(store: RedisSessionStore, prefix: String)]
    /// Whether the stores are this service's own, to be run by it: those of a replica that keeps sessions in memory.
    let runsStores: Bool
    let logger: Logger
    private let id = Base64URL.encode(systemRandomBytes(16))
    private let started = Date()

    init(
        settings: GatewaySettings, stores: [(store: RedisSessionStore, prefix: String)], runsStores: Bool = false,
        logger: Logger
    ) {
        self.settings = settings
        self.stores = stores
        self.runsStores = runsStores
        self.logger = logger
    }

    func run() async throws {
        // Detached, since they are to stop after the last word was said, not when this service is asked to.
        let running = runsStores ? stores.map { store, _ in Task.detached { try? await store.run() } } : []
        await cancelWhenGracefulShutdown { await keepAnnouncing() }
        await withdraw()
        for task in running { task.cancel() }
        // A service that ends by itself would end the gateway.
        try? await gracefulShutdown()
    }

    private func keepAnnouncing() async {
        while !Task.isCancelled {
            var isWhole = true
            for (store, prefix) in stores {
                var record = ReplicaRecord(settings, prefix: prefix, started: started, now: Date())
                // They may have been renewed while it runs.
                if !store.keyIDs.isEmpty { record.keyIDs = store.keyIDs }
                do {
                    try await store.announceReplica(record.json, as: id, now: record.time)
                } catch {
                    isWhole = false
                    logger.debug("This replica could not announce itself in Redis", metadata: ["error": "\(error)"])
                }
            }
            try? await Task.sleep(for: isWhole ? Self.interval : Self.pauseAfterFailure)
        }
    }

    /// Within the moment that a shutdown leaves; else the announcement ends by itself.
    private func withdraw() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for (store, _) in stores { try? await store.withdrawReplica(id) } }
            group.addTask { try? await Task.sleep(for: .milliseconds(500)) }
            await group.next()
            group.cancelAll()
        }
    }
}
