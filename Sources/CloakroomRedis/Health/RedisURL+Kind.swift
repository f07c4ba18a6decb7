import CloakroomRedisClient

extension RedisURL {
    /// Whether connections are encrypted.
    package var isTLS: Bool { address.isTLS }

    /// Whether sentinels say where the server is.
    package var usesSentinel: Bool {
        if case .sentinel = address.topology { true } else { false }
    }

    /// Whether keys are spread over the nodes of a cluster.
    package var isCluster: Bool { address.topology == .cluster }
}
