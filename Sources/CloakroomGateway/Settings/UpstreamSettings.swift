/// How many requests may be with the upstream at once, and for how long.
public struct UpstreamSettings: Sendable, Equatable {
    /// In all (`UPSTREAM_MAX_CONCURRENT`), 1 to 10,000.
    public var maximumConcurrent = 512
    /// Of one session (`UPSTREAM_MAX_CONCURRENT_PER_SESSION`), 1 to 10,000.
    public var maximumConcurrentPerSession = 128
    /// How long the upstream may take until its response begins (`UPSTREAM_TIMEOUT`), 1 second to 1 hour.
    public var timeout = Duration.seconds(60)

    /// The defaults.
    public init() {}
}
