import Cloakroom
import CloakroomRedisClient

extension RedisClientConfiguration {
    /// What a store's configuration means for its client.
    init(_ configuration: RedisStoreConfiguration) {
        self.init(url: configuration.url)
        commandTimeout = configuration.commandTimeout
        sentinelUser = configuration.sentinelUser
        sentinelPassword = configuration.sentinelPassword
        connections = configuration.connectionsPerNode
        tls = configuration.tls
        eventLoopGroup = configuration.eventLoopGroup
        // What can't be a session need not be held to find that out.
        limits.bulkSize = RecordCodec.maximumSize
    }
}
