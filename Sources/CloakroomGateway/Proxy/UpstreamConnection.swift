import CloakroomHTTP1
import NIOCore

/// Who is told of the response on a connection to the upstream.
protocol UpstreamUser: AnyObject {
    /// A response before the response (RFC 9110 §15.2).
    func interimResponseCame(_ head: ResponseHead)

    func responseBegan(_ head: ResponseHead)
    func responseBodyCame(_ data: ByteBuffer)

    /// The response is whole; the connection has no user any more.
    ///
    /// - Parameter isReusable: whether the connection can carry another exchange.
    func responseEnded(isReusable: Bool)

    /// Everything that was there to be read has been told of.
    func responsePaused()

    /// The upstream takes what is written again.
    func upstreamIsWritable()

    /// The connection has ended, and no response is whole; it has no user any more.
    ///
    /// - Parameters:
    ///   - failure: what was wrong with the response, if that is why.
    ///   - mayRetry: whether nothing came, on a connection that had been used before: the upstream may have closed it without
    ///     having seen this request.
    func upstreamFailed(_ failure: HTTP1Failure?, mayRetry: Bool)
}

/// A connection to the upstream: it carries one exchange at a time, and waits in its ``UpstreamPool`` between them.
final class UpstreamConnection: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private unowned let pool: UpstreamPool
    private var context: ChannelHandlerContext?
    private var decoder: ResponseDecoder
    private var input = ByteBuffer()
    private var user: (any UpstreamUser)?
    private var exchanges = 0
    private var hasReceived = false
    private var keepsAlive = false
    private var isReading = false
    // What the channel says of itself, which is asked for often.
    private var isOpen = true
    private var isActive = false
    private(set) var isWritable = true
    /// Something was written that is not on its way.
    private var isFlushDue = false
    private var mayRead = true
    private var failure: HTTP1Failure?
    /// Since when it waits in the pool.
    var idleSince = NIODeadline.now()

    init(pool: UpstreamPool, limits: HTTP1Limits) {
        self.pool = pool
        decoder = ResponseDecoder(limits: limits)
    }

    /// Whether it can carry an exchange.
    var isUsable: Bool { isOpen && context != nil }

    // MARK: What the exchange does

    /// Begins an exchange.
    ///
    /// - Parameter isHead: whether the request's method is `HEAD`.
    func begin(_ user: any UpstreamUser, isHead: Bool) {
        self.user = user
        exchanges += 1
        hasReceived = false
        decoder.expectResponse(toHead: isHead)
    }

    func write(_ data: ByteBuffer) {
        isFlushDue = true
        pool.metrics.upstreamGets(data.readableBytes)
        context?.write(wrapOutboundOut(data), promise: nil)
    }

    func flush() {
        guard isFlushDue else { return }
        isFlushDue = false
        context?.flush()
    }

    /// Says whether more of the response may be read.
    func setMayRead(_ mayRead: Bool) {
        self.mayRead = mayRead
        readIfWanted()
    }

    /// Ends the connection and whatever it carries; nobody is told.
    func close() {
        user = nil
        isOpen = false
        context?.close(promise: nil)
    }

    // MARK: What the channel says

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        isOpen = false
        user = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        isActive = true
        pool.note(self)
        readIfWanted()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = false
        var data = unwrapInboundIn(data)
        pool.metrics.upstreamSent(data.readableBytes)
        guard user != nil else {
            // An answer that nobody asked for, or that nobody waits for any more.
            context.close(promise: nil)
            return
        }
        hasReceived = true
        if input.readableBytes == 0 { input = data } else { input.writeBuffer(&data) }
        process(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        if input.readableBytes == 0 { input = ByteBuffer() }
        user?.responsePaused()
        readIfWanted()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable { user?.upstreamIsWritable() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        isOpen = false
        isActive = false
        pool.forget(self)
        guard let user else { return }
        self.user = nil
        if decoder.finish() {
            user.responseEnded(isReusable: false)
            return
        }
        user.upstreamFailed(failure, mayRetry: failure == nil && !hasReceived && exchanges > 1)
    }

    private func readIfWanted() {
        guard !isReading, user == nil || mayRead, isOpen, isActive, let context else { return }
        isReading = true
        context.read()
    }

    /// All that was read is passed on, so that nothing is left here when the connection ends.
    private func process(_ context: ChannelHandlerContext) {
        do throws(HTTP1Failure) {
            while let user, let event = try decoder.next(&input) {
                switch event {
                case .interim(let head): user.interimResponseCame(head)
                case .head(let head):
                    keepsAlive = head.keepsAlive
                    user.responseBegan(head)
                case .body(let data): user.responseBodyCame(data)
                case .end:
                    self.user = nil
                    mayRead = true
                    // What follows a response is another one that nobody asked for.
                    user.responseEnded(
                        isReusable: keepsAlive && input.readableBytes == 0 && isOpen)
                }
            }
        } catch {
            failure = error
            context.close(promise: nil)
        }
    }
}
