import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Watches one client's connection: ends it after a response that comes before the request's end, after an upgrade that
/// nobody serves and after what is no HTTP/1, and tells when the client hangs up.
///
/// Hummingbird reads the rest of a request after its response, for as long as the client sends; and NIO's parser keeps
/// whatever comes after an upgrade. Here such a connection is closed, and what still comes is dropped.
final class ClientConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// For how long the rest of a request is dropped after its response. Closing at once would reset the connection, and
    /// the client might lose the response.
    private static let patience = TimeAmount.seconds(1)
    /// How much is dropped in that time.
    private static let mostDropped = 16 << 20

    private(set) var connection: ClientConnection?
    private var requests = 0
    private var wholeRequests = 0
    private var responses = 0
    private var isBodyStarted = false
    private var expectsContinue = false
    /// Nothing that comes is passed on.
    private var isDropping = false
    /// The connection ends after the response to what has come so far.
    private var isLast = false
    private var isEnding = false
    private var dropped = 0

    func handlerAdded(context: ChannelHandlerContext) {
        connection = ClientConnection(channel: context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        guard !isDropping else {
            if case .body(let bytes) = part { drop(bytes.readableBytes, context) }
            return
        }
        switch part {
        case .head(let head):
            requests += 1
            isBodyStarted = false
            expectsContinue = head.headerFields[.expect]?.lowercased() == "100-continue"
            if head.method == .connect || head.headerFields[.upgrade] != nil { isLast = true }
        case .body:
            isBodyStarted = true
        case .end:
            wholeRequests += 1
            if isLast { dropWhatFollows(context) }
        }
        tell()
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // The reader above may have stopped asking.
        if isDropping { context.read() }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where head.status.kind != .informational:
            if isLast || wholeRequests <= responses {
                isLast = true
                head.headerFields[.connection] = "close"
            }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            context.write(data, promise: promise)
            responses += 1
            if isLast && responses >= requests { end(context) }
            tell()
        default:
            context.write(data, promise: promise)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ClientConnection.Wish.abandonBody:
            abandonBody(context)
        case ClientConnection.Wish.askForBody:
            guard expectsContinue, !isBodyStarted, requests == responses + 1, wholeRequests == responses else { return }
            expectsContinue = false
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
        case ChannelEvent.inputClosed:
            connection?.hangUp()
            if isEnding {
                context.close(promise: nil)
            } else {
                context.fireUserInboundEventTriggered(event)
            }
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        connection?.hangUp()
        abandonBody(context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError, !isEnding {
            isLast = true
            dropWhatFollows(context)
            closeLater(context)
        }
        if isEnding { context.close(promise: nil) } else { context.fireErrorCaught(error) }
    }

    private func tell() {
        connection?.update(isBodyWhole: wholeRequests > responses, isBodyStarted: isBodyStarted)
    }

    private func abandonBody(_ context: ChannelHandlerContext) {
        guard !isDropping, wholeRequests < requests else { return }
        isLast = true
        isDropping = true
        context.fireChannelRead(wrapInboundOut(.end(nil)))
        context.fireChannelReadComplete()
        if context.channel.isActive { context.read() }
    }

    /// From here on the parser gets nothing more either, as it would keep it.
    private func dropWhatFollows(_ context: ChannelHandlerContext) {
        guard !isDropping || !isEnding else { return }
        isDropping = true
        try? context.pipeline.syncOperations.addHandler(ByteDropper(), position: .first)
    }

    private func end(_ context: ChannelHandlerContext) {
        guard !isEnding else { return }
        abandonBody(context)
        isEnding = true
        isDropping = true
        context.flush()
        context.close(mode: .output, promise: nil)
        closeLater(context)
        context.read()
    }

    private func closeLater(_ context: ChannelHandlerContext) {
        let channel = context.channel
        let timer = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in timer.cancel() }
    }

    private func drop(_ count: Int, _ context: ChannelHandlerContext) {
        dropped += count
        if isEnding && dropped > Self.mostDropped { context.close(promise: nil) }
    }
}

/// Drops the bytes of a connection whose parser has stopped.
private final class ByteDropper: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        context.read()
    }
}
