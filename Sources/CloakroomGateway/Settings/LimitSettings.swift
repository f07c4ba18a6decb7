/// What one connection or request may take, so that no client can use up what others need.
public struct LimitSettings: Sendable, Equatable {
    /// Connections of clients at once (`MAX_CONNECTIONS`), 1 to 1,000,000.
    public var connections = 10_000
    /// Of one address (`MAX_CONNECTIONS_PER_ADDRESS`), 1 to 1,000,000; `nil` for no such limit.
    public var connectionsPerAddress: Int?
    /// How long a connection may be idle between two requests (`KEEP_ALIVE_TIMEOUT`), 1 second to 1 hour.
    public var keepAliveTime = Duration.seconds(75)
    /// How many requests a connection may carry (`KEEP_ALIVE_MAX_REQUESTS`), 1 to 1,000,000; `nil` for no such limit.
    public var keepAliveRequests: Int?
    /// The size of a request's head (`REQUEST_HEADER_MAX_BYTES`), 4 KiB to 1 MiB.
    public var headerBytes = 64 << 10
    /// How long it may take to come (`REQUEST_HEADER_TIMEOUT`), 1 second to 1 hour.
    public var headerTime = Duration.seconds(30)
    /// The size of a request's body (`REQUEST_BODY_MAX_BYTES`), 1 KiB to 1 TiB; `nil` for no such limit.
    public var bodyBytes: Int?
    /// How long it may stand still (`REQUEST_BODY_TIMEOUT`), 1 second to 1 hour.
    public var bodyTime = Duration.seconds(60)
    /// How many bytes a second it must bring on average (`REQUEST_BODY_MIN_RATE`), 1 to 1,000,000; `nil` for no such limit.
    public var bodyRate: Int? = 500
    /// How long a client may take nothing of its response (`SEND_TIMEOUT`), 1 second to 1 hour.
    public var sendTime = Duration.seconds(60)
    /// How many event streams a session may have on one replica (`EVENTS_MAX_PER_SESSION`), 1 to 1,000.
    public var eventStreamsPerSession = 10

    /// The defaults.
    public init() {}
}
