import CloakroomHTTP
import CloakroomHTTP1
import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2

/// A client's connection over HTTP/2: it takes the frames that NIO's codec has found well-formed, and hands them to the
/// streams that they are for.
///
/// The codec bounds what an abusive client can do with frames: continuations, empty ones, resets, settings and pings. It
/// counts a request until its answer is flushed, so that ``mostStreams`` bounds how many are taken out of one read, and other
/// connections have their turn.
final class HTTP2Handler: ChannelInboundHandler, ClientConnection {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// How many requests a connection may have at once.
    static let mostStreams = 100
    /// How much of the connection's window is used up before it is opened again.
    private static let windowStep = 16_384

    private let room: LoopRoom
    private var context: ChannelHandlerContext?
    private var address = ClientAddress(nil)
    private var streams: [HTTP2StreamID: HTTP2Stream] = [:]
    private var presented: PresentedSession?
    private let connectionNumber = UInt64.random(in: .min ... .max)
    private var requestCount: UInt64 = 0
    private var lastStream = HTTP2StreamID.rootStream
    private var idleSince: NIODeadline
    private var usedWindow = 0
    private var isReading = false
    // What the channel says of itself, which is asked for often.
    private var isActive = true
    private var isChannelWritable = true
    /// Something was written that is not on its way.
    private var isFlushDue = false
    private var isFlushing = false
    private var isLeaving = false

    init(room: LoopRoom) {
        self.room = room
        idleSince = room.now
    }

    var isWritable: Bool { context != nil && isChannelWritable }

    // MARK: What the channel says

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isActive = context.channel.isActive
        isChannelWritable = context.channel.isWritable
        address = ClientAddress(context.channel.remoteAddress)
        room.add(self)
        readIfWanted()
    }

    func handlerRemoved(context: ChannelHandlerContext) { gone() }

    func channelInactive(context: ChannelHandlerContext) {
        isActive = false
        gone()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = false
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers): headersCame(frame.streamID, headers)
        case .data(let data): dataCame(frame.streamID, data)
        case .rstStream: streams.removeValue(forKey: frame.streamID)?.gone()
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        flush()
        readIfWanted()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isChannelWritable = context.channel.isWritable
        for stream in Array(streams.values) { stream.channelWritabilityChanged() }
        readIfWanted()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as StreamClosedEvent:
            streams.removeValue(forKey: event.streamID)?.gone()
            if streams.isEmpty {
                idleSince = room.now
                if isLeaving { close() }
            }
        case ChannelEvent.inputClosed: close()
        // Nobody is behind this handler.
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The codec has reset the stream.
        if error is NIOHTTP2Errors.StreamError { return }
        close()
    }

    private func headersCame(_ id: HTTP2StreamID, _ headers: HTTP2Frame.FramePayload.Headers) {
        if let stream = streams[id] {
            // Trailers end a body, and mean nothing here.
            if headers.endStream { stream.bodyCame(ByteBuffer(), isLast: true) }
            return
        }
        lastStream = max(lastStream, id)
        requestCount &+= 1
        if requestCount >= room.core.limits.requests { drain() }
        let number = RequestNumber(connection: connectionNumber, number: requestCount)
        do throws(HTTP1Failure) {
            let head = try HTTP2Head.request(
                headers.headers, isWhole: headers.endStream, room.core.limits.message, room.allocator)
            let request = GatewayRequest(head, route: room.core.route(head), address: address, number: number)
            request.isWhole = head.framing == .none
            let stream = HTTP2Stream(request, id: id, connection: self, room: room)
            streams[id] = stream
            stream.start(&presented)
        } catch {
            room.metrics.refused(error.limit)
            room.core.logger.notice(
                "Refused a malformed request",
                metadata: ["problem": "\(error.name)", "address": "\(address.text ?? "none")"])
            write(id, .headers(.init(headers: [":status": "\(error.status)"], endStream: true)))
            if !headers.endStream { reset(id, .noError) }
        }
    }

    private func dataCame(_ id: HTTP2StreamID, _ data: HTTP2Frame.FramePayload.Data) {
        guard case .byteBuffer(let bytes) = data.data else { return }
        // The connection's window is open whatever one stream does, whose own window holds it up.
        let padding = data.paddingBytes.map { $0 + 1 } ?? 0
        usedWindow += bytes.readableBytes + padding
        if usedWindow >= Self.windowStep {
            openWindow(of: .rootStream, by: usedWindow)
            usedWindow = 0
        }
        guard let stream = streams[id] else { return }
        if padding > 0, !data.endStream { openWindow(of: id, by: padding) }
        stream.bodyCame(bytes, isLast: data.endStream)
    }

    /// A client that takes nothing is not listened to either: its settings and pings must be answered too.
    private func readIfWanted() {
        guard !isReading, isActive, isChannelWritable, let context else { return }
        isReading = true
        context.read()
    }

    private func gone() {
        guard context != nil else { return }
        context = nil
        let all = streams
        streams = [:]
        room.remove(self)
        for stream in all.values { stream.gone() }
    }

    // MARK: What streams do

    func write(_ id: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload, _ promise: EventLoopPromise<Void>? = nil) {
        guard let context else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        isFlushDue = true
        context.write(wrapOutboundOut(HTTP2Frame(streamID: id, payload: payload)), promise: promise)
    }

    func openWindow(of id: HTTP2StreamID, by count: Int) {
        write(id, .windowUpdate(windowSizeIncrement: count))
        flushSoon()
    }

    func reset(_ id: HTTP2StreamID, _ code: HTTP2ErrorCode) {
        write(id, .rstStream(code))
        flushSoon()
    }

    /// Lets the system notice when the other end is gone without a word.
    func expectAcknowledgements() {
        if let context { Unreachable.endConnection(context.channel, after: room.core.limits.send) }
    }

    /// Flushes once for all that happens in one turn of the loop, if anything was written.
    func flushSoon() {
        guard isFlushDue, !isFlushing else { return }
        isFlushing = true
        let bound = NIOLoopBound(self, eventLoop: room.loop)
        room.loop.execute {
            bound.value.isFlushing = false
            bound.value.flush()
        }
    }

    private func flush() {
        guard isFlushDue else { return }
        isFlushDue = false
        context?.flush()
    }

    // MARK: The end

    private func close() { context?.close(promise: nil) }

    func drain() {
        guard !isLeaving else { return }
        isLeaving = true
        write(.rootStream, .goAway(lastStreamID: lastStream, errorCode: .noError, opaqueData: nil))
        flush()
        if streams.isEmpty { close() }
        for stream in Array(streams.values) { stream.drain() }
    }

    func cutOffConnection() { close() }

    var requestsUnderWay: Int { streams.count }

    func tick(_ now: NIODeadline) {
        guard streams.isEmpty else {
            for stream in Array(streams.values) { stream.tick(now) }
            return
        }
        let limits = room.core.limits
        var patience = requestCount == 0 ? limits.head.nanoseconds : limits.idle.nanoseconds
        if room.core.connections.isCrowded { patience /= 10 }
        guard (now - idleSince).nanoseconds >= patience else { return }
        if isLeaving { close() } else { drain() }
    }
}
