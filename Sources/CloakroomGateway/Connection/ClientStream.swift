import CloakroomHTTP
import CloakroomHTTP1
import NIOCore

/// One request of a client, from the side that answers it: its connection, or its stream of one.
///
/// All of it happens on one event loop. After ``endResponse()``, ``answer(_:)`` or ``cutOff()`` nothing more may be said.
protocol ClientStream: AnyObject {
    /// Whether the client takes what is written; ``Exchange/clientIsWritable()`` tells when it does again.
    var isWritable: Bool { get }

    /// Sends a whole response.
    func answer(_ answer: HTTPAnswer)

    /// Begins a response of the gateway's own whose body follows by ``sendBody(_:)``, for as long as it likes. On HTTP/1.1 it
    /// is the connection's last.
    func beginStream(_ answer: HTTPAnswer)

    /// Whether something was said that is not on its way to the client yet.
    var hasUnsent: Bool { get }

    /// Whether others may use the same connection at the same time.
    var sharesConnection: Bool { get }

    /// Sends what may pass of a response before the response (RFC 9110 §15.2), to clients that know such.
    func sendInterim(_ head: ResponseHead)

    /// Begins the response with what may pass of the upstream's.
    func beginResponse(_ head: ResponseHead)

    /// Sends a part of the response's body.
    func sendBody(_ data: ByteBuffer)

    /// Ends the response.
    func endResponse()

    /// Ends a response that has begun so that the client sees that it is not whole.
    func cutOff()

    /// Asks for the body, where the client waits for that.
    func askForBody()

    /// Looks again whether the exchange wants more of the body.
    func wantsChanged()

    /// Puts what was written on its way.
    func flush()
}

/// What is done for one request.
protocol Exchange: AnyObject {
    /// Whether it takes more of the request's body now.
    var wantsBody: Bool { get }

    /// A part of the request's body came.
    func bodyCame(_ data: ByteBuffer)

    /// The request is whole.
    func bodyEnded()

    /// The client takes what is written again.
    func clientIsWritable()

    /// The client is gone, or its request will never be whole: nothing may be said to it any more.
    func clientIsGone()

    /// Puts what was written to the other side on its way.
    func flush()

    /// Called now and then.
    func tick(_ now: NIODeadline)

    /// The gateway stops, or the connection takes no more requests: what would never end by itself should.
    func drain()
}

extension Exchange {
    func drain() {}
}

/// What is done here, without the upstream.
protocol OwnExchange: Exchange {
    /// - Parameter memory: the session that the client's connection presented last.
    func start(_ memory: inout PresentedSession?)
}
