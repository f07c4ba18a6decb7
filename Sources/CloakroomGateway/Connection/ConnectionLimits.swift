import CloakroomHTTP1
import NIOCore

/// How long a connection may take for what, and how much it may hold.
struct ConnectionLimits: Sendable {
    /// How long a connection may do nothing between two requests.
    var idle = TimeAmount.seconds(75)
    /// How long a request's head may take, from its first byte.
    var head = TimeAmount.seconds(30)
    /// How long a request's body may stand still, and a client may take nothing of its response.
    var stall = TimeAmount.seconds(60)
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
    /// What a head may hold.
    var message = HTTP1Limits()
}
