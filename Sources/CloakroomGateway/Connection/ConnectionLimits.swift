import CloakroomHTTP1
import NIOCore

/// How long a connection may take for what, and how much it may hold.
struct ConnectionLimits: Sendable {
    /// How long a connection may do nothing between two requests.
    var idle = TimeAmount.seconds(75)
    /// How long a request's head may take, from its first byte.
    var head = TimeAmount.seconds(30)
    /// How long a request's body may stand still.
    var stall = TimeAmount.seconds(60)
    /// How long a client may take nothing of its response.
    var send = TimeAmount.seconds(60)
    /// How long the upstream's response may stand still once it has begun.
    var responseStall = TimeAmount.seconds(300)
    /// How long a connection to the upstream may take to be made.
    var connect = TimeAmount.seconds(5)
    /// How long a connection to the upstream is kept without a request: shorter than servers commonly keep theirs.
    var upstreamIdle = TimeAmount.seconds(4)
    /// How long a request waits for a place at the upstream.
    var place = TimeAmount.seconds(5)
    /// The largest body of a request that the gateway answers itself; it is dropped.
    var ownBody = 1 << 20
    /// How much of what a client sends ahead is kept for later.
    var ahead = 65_536
    /// For how long the rest of a request is dropped after its response. Closing at once would reset the connection, and the
    /// client might lose the response.
    var linger = TimeAmount.seconds(1)
    /// How much is dropped in that time.
    var lingerBytes = 16 << 20
    /// How many requests a connection may carry.
    var requests = UInt64.max
    /// The largest body of a request.
    var body = Int.max
    /// For how long each byte of a body extends the patience with it, in nanoseconds.
    var patiencePerByte: Int64?
    /// What a head may hold.
    var message = HTTP1Limits()
}

extension ConnectionLimits {
    init(_ settings: GatewaySettings) {
        let limits = settings.limits
        idle = TimeAmount(limits.keepAliveTime)
        head = TimeAmount(limits.headerTime)
        stall = TimeAmount(limits.bodyTime)
        send = TimeAmount(limits.sendTime)
        responseStall = TimeAmount(settings.upstream.responseTime)
        connect = TimeAmount(settings.upstream.connectTime)
        place = TimeAmount(settings.upstream.queueTime)
        requests = limits.keepAliveRequests.map { UInt64($0) } ?? .max
        body = limits.bodyBytes ?? .max
        patiencePerByte = limits.bodyRate.map { 1_000_000_000 / Int64($0) }
        message.head = limits.headerBytes
        message.startLine = min(message.startLine, limits.headerBytes)
    }
}
