import CloakroomHTTP1
import NIOCore
import NIOHTTP2
import NIOTLS

/// The first steps of a client's connection: it is counted, TLS is begun, and the protocol is chosen.
enum ConnectionStart {
    /// - Throws: ``Refused`` when there may not be one more.
    static func begin(_ channel: any Channel, room: LoopRoom) throws {
        let core = room.core
        let address = channel.remoteAddress?.ipAddress
        if let limit = core.connections.add(address) {
            room.metrics.refused(limit)
            throw Refused()
        }
        channel.closeFuture.whenComplete { _ in core.connections.remove(address) }
        guard let tls = core.tls else { return try addHTTP1(channel, room) }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(tls.handler())
        let bound = NIOLoopBound((room: room, channel: channel), eventLoop: channel.eventLoop)
        // A handshake that is never ended holds nothing for longer than a head may take.
        let timer = channel.eventLoop.scheduleTask(in: core.limits.head) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in timer.cancel() }
        let negotiation = ApplicationProtocolNegotiationHandler { result in
            timer.cancel()
            let (room, channel) = bound.value
            return channel.eventLoop.makeCompletedFuture {
                if case .negotiated("h2") = result {
                    try addHTTP2(channel, room)
                } else {
                    try addHTTP1(channel, room)
                }
            }
        }
        try pipeline.addHandler(FirstRead())
        try pipeline.addHandler(negotiation)
    }

    /// Too many connections.
    struct Refused: Error {}

    private static func addHTTP1(_ channel: any Channel, _ room: LoopRoom) throws {
        try channel.pipeline.syncOperations.addHandler(ClientHandler(room: room))
    }

    private static func addHTTP2(_ channel: any Channel, _ room: LoopRoom) throws {
        let settings: HTTP2Settings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: HTTP2Handler.mostStreams),
            HTTP2Setting(parameter: .maxHeaderListSize, value: room.core.limits.message.head),
            HTTP2Setting(parameter: .enablePush, value: 0),
        ]
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(WriteGathering(room: room))
        // Which fields there may be is checked by `HTTP2Head`, once.
        try pipeline.addHandler(
            NIOHTTP2Handler(mode: .server, initialSettings: settings, headerBlockValidation: .disabled))
        try pipeline.addHandler(HTTP2Handler(room: room))
    }
}

/// Asks for the first bytes of a handshake, and goes: TLS reads the rest of it by itself.
private final class FirstRead: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        context.read()
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }
}
