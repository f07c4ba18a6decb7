import CloakroomRedisClient

extension RedisURL {
    /// Whether sentinels say where the server is.
    package var usesSentinel: Bool {
        if case .sentinel = topology { true } else { false }
    }

    /// Whether keys are spread over the nodes of a cluster.
    package var isCluster: Bool { topology == .cluster }
}
