import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import HTTPTypes
import Logging
import NIOCore

/// A client's connection over HTTP/1.1: it reads one request at a time, has it answered, and reads the next.
///
/// The rules by which it lives: bytes are read here and nowhere else; a response that comes before the request's end, or
/// after what is no request, is the connection's last; a client that closes, even only its side, has gone; and what is
/// kept for a client is bounded, whatever it does.
final class ClientHandler: ChannelInboundHandler, ClientConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the log says of a request whose client did not wait for the answer; nginx' number for it.
    static let clientClosedRequest = 499
    /// How many bytes of answers are gathered before they are written.
    private static let unsent = 32_768
    /// How many requests that were sent at once are taken before other connections have their turn.
    private static let requestsInOneTurn = 32

    let room: LoopRoom
    private(set) var context: ChannelHandlerContext?
    private var address = ClientAddress(nil)
    private var decoder: RequestDecoder
    private var input = ByteBuffer()
    var output = ByteBuffer()
    private var isReading = false
    // What the channel says of itself, which is asked for often.
    private var isActive = false
    private(set) var isChannelWritable = true
    /// Something was written that is not on its way.
    var isFlushDue = false
    private var hasPeerClosed = false
    private(set) var isProcessing = false
    /// How many requests were taken in this turn.
    private var begun = 0
    /// Others have their turn first; then this connection has its next.
    private var isWaitingForTurn = false

    /// The request under way, and what is done for it.
    var request: GatewayRequest?
    private var exchange: (any Exchange)?
    var response = ResponseState.none
    /// The response that has begun and is not in the log yet: its client comes first.
    var unlogged: (request: GatewayRequest, status: Int, answered: NIODeadline)?
    /// No request follows the one under way.
    var isLast = false
    private var presented: PresentedSession?
    private let connectionNumber = UInt64.random(in: .min ... .max)
    private var requestCount: UInt64 = 0

    /// When bytes last came, or the first of a head did.
    private var since: NIODeadline
    /// Until when more of a body must come.
    private var bodyUntil = NIODeadline.distantFuture
    private var unwritableSince: NIODeadline?
    private var lingering: Lingering?
    /// The response is a stream of our own, which nothing follows on its connection.
    var isStreaming = false
    /// How much came after the request for a stream.
    private var sentAhead = 0

    enum ResponseState {
        case none
        case body(isChunked: Bool)
    }

    /// The response has been written, and what still comes is dropped, until the client has had time to read it.
    private struct Lingering {
        var until: NIODeadline
        var isWritten = false
        var dropped = 0
    }

    init(room: LoopRoom) {
        self.room = room
        since = room.now
        decoder = RequestDecoder(limits: room.core.limits.message)
    }

    var limits: ConnectionLimits { room.core.limits }

    // MARK: What the channel says

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        address = ClientAddress(context.channel.remoteAddress)
        room.add(self)
        isActive = context.channel.isActive
        isChannelWritable = context.channel.isWritable
        readIfWanted()
    }

    func handlerRemoved(context: ChannelHandlerContext) { gone() }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        isActive = true
        readIfWanted()
    }

    func channelInactive(context: ChannelHandlerContext) {
        gone()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = false
        begun = 0
        var data = unwrapInboundIn(data)
        room.metrics.clientSent(data.readableBytes)
        guard lingering == nil else { return drop(data.readableBytes) }
        if input.readableBytes == 0 {
            if exchange == nil { since = room.now }
            input = data
        } else {
            input.writeBuffer(&data)
        }
        process()
    }

    func channelReadComplete(context: ChannelHandlerContext) { readIfWanted() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isChannelWritable = context.channel.isWritable
        if isChannelWritable {
            unwritableSince = nil
            // Requests that were sent ahead may wait for it too.
            if let exchange { exchange.clientIsWritable() } else { process() }
        } else {
            unwritableSince = room.now
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        hasPeerClosed = true
        if let lingering {
            // What is still to be written comes first.
            if lingering.isWritten { close() }
            return
        }
        // What was asked for here and is about to be answered still is. Whoever waits for the upstream has hung up: its
        // closing looks the same.
        guard let request, request.isWhole, exchange is LocalExchange else { return close() }
        isLast = true
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close() }

    // MARK: Reading

    private func readIfWanted() {
        guard !isReading, !hasPeerClosed, isActive, let context else { return }
        // With a request under way, reads tell that the client hangs up, until it has sent too much ahead.
        guard lingering != nil || input.readableBytes < limits.ahead else { return }
        isReading = true
        context.read()
    }

    func process() {
        guard !isProcessing else { return }
        isProcessing = true
        do throws(HTTP1Failure) {
            while lingering == nil, context != nil {
                if let exchange, let request {
                    guard !request.isWhole, exchange.wantsBody, let event = try decoder.next(&input) else { break }
                    since = room.now
                    take(event, exchange, request)
                } else {
                    // A client that sends ahead and takes no answers gets no more of them, and one that sends many small
                    // requests at once lets others have their turn.
                    if output.readableBytes >= Self.unsent { flush() }
                    guard isWritable, input.readableBytes > 0, !isWaitingForTurn else { break }
                    guard begun < Self.requestsInOneTurn else {
                        goOnLater()
                        break
                    }
                    guard case .head(let head)? = try decoder.next(&input) else { break }
                    begun += 1
                    try begin(head)
                }
            }
        } catch {
            refuse(error)
        }
        isProcessing = false
        // What it was read into is used for the next read, of whichever connection.
        if input.readableBytes == 0 { input = ByteBuffer() }
        exchange?.flush()
        flush()
        readIfWanted()
    }

    private func goOnLater() {
        isWaitingForTurn = true
        let bound = NIOLoopBound(self, eventLoop: room.loop)
        // Not at once: the loop runs all tasks that follow from one another before it looks at other connections again.
        room.loop.scheduleTask(in: .milliseconds(1)) {
            bound.value.isWaitingForTurn = false
            bound.value.begun = 0
            bound.value.process()
        }
    }

    private func take(_ event: RequestDecoder.Event, _ exchange: any Exchange, _ request: GatewayRequest) {
        switch event {
        case .head: break
        case .body(let data):
            request.bodyBytes += data.readableBytes
            guard request.bodyBytes <= limits.body else { return refuse(.bodyBytes) }
            if let perByte = limits.patiencePerByte {
                bodyUntil = min(
                    since + limits.stall, bodyUntil + .nanoseconds(perByte * Int64(data.readableBytes)))
            } else {
                bodyUntil = since + limits.stall
            }
            exchange.bodyCame(data)
        case .end:
            request.isWhole = true
            exchange.bodyEnded()
        }
    }

    private func begin(_ head: RequestHead) throws(HTTP1Failure) {
        let core = room.core
        requestCount &+= 1
        since = room.now
        let request = GatewayRequest(
            head, route: core.route(head), address: address,
            number: RequestNumber(connection: connectionNumber, number: requestCount))
        if head.framing == .none {
            // The end, which is there without another byte.
            _ = try decoder.next(&input)
            request.isWhole = true
        }
        self.request = request
        response = .none
        bodyUntil = since + limits.stall
        isLast =
            requestCount >= limits.requests || !head.keepsAlive || head.asksForAnotherProtocol
            || room.isDraining || hasPeerClosed
        if request.route == .upstream, let upstream = core.upstream, core.upstreamTakes(head.method) {
            let exchange = ProxyExchange(request, client: self, upstream: upstream, room: room)
            self.exchange = exchange
            if case .length(let length) = head.framing, length > limits.body { return refuse(.bodyBytes) }
            exchange.start(&presented)
        } else {
            let exchange = room.ownExchange(for: request, client: self)
            self.exchange = exchange
            exchange.start(&presented)
        }
    }

    /// Answers what is no request, if nothing was said yet that it could be taken for a part of.
    private func refuse(_ failure: HTTP1Failure) {
        room.core.logger.notice(
            failure == .malformed(.tls)
                ? "Refused a TLS handshake: this port speaks plain HTTP" : "Refused a malformed request",
            metadata: ["problem": "\(failure.name)", "address": "\(address.text ?? "none")"])
        room.metrics.refused(failure.limit)
        refuse(with: .problem("bad_request", status: .init(integerLiteral: failure.status)))
    }

    private func refuse(_ limit: RefusingLimit) {
        room.metrics.refused(limit)
        refuse(with: limit.answer)
    }

    /// Ends the exchange with this answer, if nothing was said yet that it could be taken for a part of, and then the
    /// connection.
    private func refuse(with answer: HTTPAnswer) {
        exchange?.clientIsGone()
        exchange = nil
        guard case .none = response else { return close() }
        isLast = true
        writeAnswer(answer, isHead: request?.head.method == .head, isHTTP11: true)
        linger()
    }

    // MARK: The end of requests and of the connection

    func requestEnded() {
        guard let request else { return }
        self.request = nil
        exchange = nil
        response = .none
        since = room.now
        guard request.isWhole, !isLast, !room.isDraining else { return linger() }
        // From within the exchange's own call, the loop that is under way goes on by itself.
        if !isProcessing { process() }
    }

    /// Sends what is written, and closes once the client has had time to read it.
    private func linger() {
        guard lingering == nil, let context else { return }
        request = nil
        exchange = nil
        input = ByteBuffer()
        writeOutput()
        guard context.channel.isActive else { return close() }
        lingering = Lingering(until: room.now + limits.send)
        let promise = context.eventLoop.makePromise(of: Void.self)
        // After all that was written before, which a slow client may take a while to read.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: promise)
        promise.futureResult.assumeIsolated().whenComplete { _ in self.outputEnded() }
        readIfWanted()
    }

    private func outputEnded() {
        guard let context, !hasPeerClosed else { return close() }
        lingering?.isWritten = true
        lingering?.until = .now() + limits.linger
        context.close(mode: .output, promise: nil)
    }

    /// What a client sends after the request for a stream is not kept.
    private func dropWhatWasSentAhead() {
        guard isStreaming, input.readableBytes > 0 else { return }
        sentAhead += input.readableBytes
        input = ByteBuffer()
        if sentAhead > limits.ahead { close() } else { readIfWanted() }
    }

    private func drop(_ count: Int) {
        lingering?.dropped += count
        if let lingering, lingering.dropped > limits.lingerBytes { close() }
    }

    func close() { context?.close(promise: nil) }

    private func gone() {
        guard context != nil else { return }
        context = nil
        isActive = false
        let exchange = exchange
        self.exchange = nil
        log()
        if let request, case .none = response { room.answered(request, status: Self.clientClosedRequest) }
        request = nil
        room.remove(self)
        exchange?.clientIsGone()
    }

    func drain() {
        isLast = true
        if let exchange { exchange.drain() } else { linger() }
    }

    func cutOffConnection() { close() }

    var requestsUnderWay: Int { request == nil ? 0 : 1 }

    func tick(_ now: NIODeadline) {
        if let lingering {
            if now >= lingering.until { close() }
        } else if let unwritableSince, now - unwritableSince >= limits.send {
            close()
        } else if let exchange, let request {
            // While the exchange takes nothing, the client can't be blamed.
            if !request.isWhole, !exchange.wantsBody { bodyUntil = now + limits.stall }
            if !request.isWhole, now >= bodyUntil {
                refuse(.bodyTime)
            } else {
                exchange.tick(now)
                dropWhatWasSentAhead()
            }
        } else if input.readableBytes > 0 || requestCount == 0 {
            guard now - since >= limits.head else { return }
            if input.readableBytes > 0 { refuse(.headerTime) } else { close() }
        } else {
            let patience = room.core.connections.isCrowded ? limits.idle.nanoseconds / 10 : limits.idle.nanoseconds
            if (now - since).nanoseconds >= patience { close() }
        }
    }
}
