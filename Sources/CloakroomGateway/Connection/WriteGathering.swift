import NIOCore

/// Gathers what is written between two flushes, so that TLS makes one record of a response's frames rather than three, and
/// counts the bytes of the connection.
///
/// It stands between the HTTP/2 codec, which writes each frame's head and payload by themselves, and TLS.
final class WriteGathering: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = ByteBuffer

    /// What one record of TLS may hold (RFC 8446 §5.1). What is as long as that is not copied.
    private static let most = 16_384

    private let room: LoopRoom
    private var gathered: ByteBuffer?
    /// Kept when all that was gathered is written.
    private var promise: EventLoopPromise<Void>?

    init(room: LoopRoom) { self.room = room }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        room.metrics.clientSent(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let written = unwrapOutboundIn(data)
        room.metrics.clientGets(written.readableBytes)
        guard case .byteBuffer(var bytes) = written, bytes.readableBytes < Self.most else {
            pass(context)
            context.write(data, promise: promise)
            return
        }
        if (gathered?.readableBytes ?? 0) + bytes.readableBytes > Self.most { pass(context) }
        if gathered == nil { gathered = room.takeBuffer() }
        gathered?.writeBuffer(&bytes)
        guard let promise else { return }
        if let first = self.promise { first.futureResult.cascade(to: promise) } else { self.promise = promise }
    }

    func flush(context: ChannelHandlerContext) {
        pass(context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        pass(context)
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        gathered = nil
        promise?.fail(ChannelError.ioOnClosedChannel)
        promise = nil
    }

    private func pass(_ context: ChannelHandlerContext) {
        guard let gathered else { return }
        let promise = promise
        self.gathered = nil
        self.promise = nil
        context.write(wrapOutboundOut(gathered), promise: promise)
        // TLS copies the bytes when it is flushed: until then another takes the buffer with storage of its own.
        room.giveBack(gathered)
    }
}
