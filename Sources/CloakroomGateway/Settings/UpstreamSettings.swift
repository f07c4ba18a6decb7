/// How many requests may be with the upstream at once, and for how long.
public struct UpstreamSettings: Sendable, Equatable {
    /// In all (`UPSTREAM_MAX_CONCURRENT`), 1 to 10,000.
    public var maximumConcurrent = 512
    /// Of one session (`UPSTREAM_MAX_CONCURRENT_PER_SESSION`), 1 to 10,000.
    public var maximumConcurrentPerSession = 128
    /// How long the upstream may take until its response begins (`UPSTREAM_TIMEOUT`), 1 second to 1 hour.
    public var timeout = Duration.seconds(60)

    /// How long a request waits for a place (`UPSTREAM_QUEUE_TIMEOUT`), 1 second to 1 hour.
    public var queueTime = Duration.seconds(5)
    /// How long a connection may take to be made (`UPSTREAM_CONNECT_TIMEOUT`), 1 second to 1 hour.
    public var connectTime = Duration.seconds(5)
    /// How long a response may stand still once it has begun (`UPSTREAM_RESPONSE_TIMEOUT`), 1 second to 1 day.
    public var responseTime = Duration.seconds(300)

    /// The defaults.
    public init() {}
}
