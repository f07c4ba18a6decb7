package import Cloakroom
package import CloakroomRedis
package import Logging
package import NIOCore
import NIOPosix
import ServiceLifecycle

/// Makes the store that the settings name, and says in the log which it is.
package struct StoreFactory: Sendable {
    let settings: GatewaySettings
    /// What the store tells of sessions that begin and end.
    let events: SessionEvents?
    let eventLoopGroup: any EventLoopGroup
    let logger: Logger

    package init(
        settings: GatewaySettings, events: SessionEvents? = nil,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, logger: Logger
    ) {
        self.settings = settings
        self.events = events
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
    }

    /// A store, and what must run for as long as it is used; what comes last is to stop first.
    struct Made: Sendable {
        let store: any GatewayStore
        var services: [any Service]
        /// Those whose keys and certificates can be renewed.
        var redis: [RedisSessionStore] = []
    }

    func make() throws -> Made {
        switch settings.effectiveStore {
        case .memory: return try makeInMemory()
        case .redis:
            let configuration = try primary()
            logger.info("Using RedisSessionStore (url=\(configuration.url))")
            logForm()
            let store = redisStore(configuration, events: events)
            return Made(
                store: store,
                services: [
                    store, RedisHealthLog(configurations: [configuration], logger: logger),
                    announcement([(store, configuration.keyPrefix)]),
                ], redis: [store])
        case .hybrid: return try makeHybrid()
        }
    }

    /// Sessions in memory: moved to Redis at the end if `REDIS_URL` is given, and read from the Redis that is left behind if
    /// `REDIS_SECONDARY_URL` is.
    private func makeInMemory() throws -> Made {
        let memory = InMemorySessionStore(policy: policy, events: events, logger: logger)
        var made = Made(store: memory, services: [memory])
        if let left = try secondary() {
            logger.info("Using HybridSessionStore (primary=memory, secondary=\(left.url))")
            logger.warning("Sessions are in this process's memory: all requests of a user must reach this replica")
            // Its events would be those of the sessions in memory once more.
            let redis = redisStore(left)
            let hybrid = HybridSessionStore(primary: memory, secondary: redis, policy: policy, logger: logger)
            made = Made(
                store: hybrid,
                services: [memory, redis, hybrid, RedisHealthLog(configurations: [left], logger: logger)],
                redis: [redis])
        } else {
            logger.info("Using InMemorySessionStore")
        }
        guard settings.redis.isURLGiven else {
            if !made.redis.isEmpty { logForm() }
            return made
        }
        let configuration = try primary()
        logger.info("Sessions move to Redis when this process is asked to stop (url=\(configuration.url))")
        logForm()
        made.services += [
            SessionDrain(memory: memory, target: redisStore(configuration), url: configuration.url, logger: logger),
            announcement(inMemoryBeside: configuration),
        ]
        return made
    }

    private func announcement(_ stores: [(store: RedisSessionStore, prefix: String)]) -> ReplicaAnnouncement {
        ReplicaAnnouncement(settings: settings, stores: stores, logger: logger)
    }

    /// A replica that keeps sessions in memory says so in the Redis that `REDIS_URL` names, so that one that was forgotten
    /// when Redis was switched on is found. Over a connection of its own, whose troubles are nobody's concern.
    private func announcement(inMemoryBeside configuration: RedisStoreConfiguration) -> ReplicaAnnouncement {
        var configuration = configuration
        configuration.nearCache = nil
        configuration.connectionsPerNode = 1
        configuration.waitReplicas = 0
        let silent = Logger(label: "cloakroom.replica") { _ in SwiftLogNoOpLogHandler() }
        let store = RedisSessionStore(configuration: configuration, policy: policy, logger: silent)
        return ReplicaAnnouncement(
            settings: settings, stores: [(store, configuration.keyPrefix)], runsStores: true, logger: logger)
    }

    private func makeHybrid() throws -> Made {
        let first = try primary()
        guard let second = try secondary() else {
            throw SettingsError.missing("REDIS_SECONDARY_URL", expected: "the Redis to move away from")
        }
        logger.info("Using HybridSessionStore (primary=\(first.url), secondary=\(second.url))")
        logForm()
        let stores = [redisStore(first, events: events), redisStore(second, events: events)]
        let hybrid = HybridSessionStore(primary: stores[0], secondary: stores[1], policy: policy, logger: logger)
        return Made(
            store: hybrid,
            services: stores + [
                hybrid, RedisHealthLog(configurations: [first, second], logger: logger),
                announcement([(stores[0], first.keyPrefix), (stores[1], second.keyPrefix)]),
            ], redis: stores)
    }

    func redisStore(_ configuration: RedisStoreConfiguration, events: SessionEvents? = nil) -> RedisSessionStore {
        var configuration = configuration
        configuration.events = events
        return RedisSessionStore(configuration: configuration, policy: policy, logger: logger)
    }

    package var policy: SessionPolicy {
        SessionPolicy(
            absoluteLifetime: settings.sessionTimeout, idleTimeout: settings.sessionIdleTimeout,
            maximumPerUser: settings.sessionMaximumPerUser,
            defaultIssuer: settings.oidcIssuer.isEmpty ? nil : settings.oidcIssuer)
    }

    /// How to keep sessions in the Redis that `REDIS_URL` names.
    package func primary() throws -> RedisStoreConfiguration {
        try configuration(settings.redisURL, settings.redisKeyPrefix, seals: settings.records.seals)
    }

    /// How to keep sessions in the Redis that `REDIS_SECONDARY_URL` names; `nil` when none is.
    package func secondary() throws -> RedisStoreConfiguration? {
        guard let url = settings.redis.secondaryURL else { return nil }
        return try configuration(
            url, settings.redis.secondaryKeyPrefix ?? settings.redisKeyPrefix,
            seals: settings.redis.secondarySeals ?? settings.records.seals)
    }

    private func configuration(
        _ url: String, _ keyPrefix: String, seals: Bool
    ) throws -> RedisStoreConfiguration {
        let redis = settings.redis
        var configuration = RedisStoreConfiguration(url: try RedisURL(url), keyPrefix: keyPrefix)
        configuration.connectionsPerNode = redis.maximumConnections
        configuration.eventLoopGroup = eventLoopGroup
        configuration.tls = redis.tls
        configuration.sentinelUser = redis.sentinelUser
        configuration.sentinelPassword = redis.sentinelPassword
        configuration.nearCache = settings.nearCache.configuration
        configuration.keyring = settings.records.keyring
        configuration.seals = seals
        configuration.acceptsPlain = settings.records.acceptsPlain || !seals
        configuration.compressionThreshold =
            settings.records.compression == .gzip ? settings.records.compressionThreshold : nil
        configuration.waitReplicas = redis.waitReplicas
        configuration.waitTimeout = redis.waitTimeout
        return configuration
    }

    /// One line for each thing that decides what becomes of a session in Redis.
    func logForm() {
        let records = settings.records
        if let keyring = records.keyring {
            let keys = keyring.keyIDs.joined(separator: ", ")
            logger.info(
                records.seals
                    ? "Sessions are sealed (keys=\(keys); the first seals)"
                    : "Sessions are stored in the plain form, and sealed ones are opened (keys=\(keys))")
        } else {
            logger.info("Sessions are stored in the plain form")
        }
        if let cache = settings.nearCache.configuration {
            let bytes = SettingsSize.text(cache.maximumBytes)
            logger.info("Near cache is on (entries=\(cache.maximumEntries), bytes=\(bytes))")
        } else {
            logger.info("Near cache is off")
        }
        let count = settings.redis.waitReplicas
        if count > 0 {
            let timeout = SettingsDuration.text(settings.redis.waitTimeout)
            logger.info("Writes wait for \(count) replica\(count == 1 ? "" : "s") (timeout=\(timeout))")
        } else {
            logger.info("Writes wait for no replica")
        }
    }
}
