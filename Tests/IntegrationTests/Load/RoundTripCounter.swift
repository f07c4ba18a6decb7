import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy before a Redis server that counts round trips: how often, on any connection, the client has spoken again
/// after the server had. It can also lose all that the server says.
final class RoundTripCounter: Sendable {
    private let channel: any Channel
    private let trips = Counter()
    private let lost = Flag()

    private final class Flag: Sendable {
        let isSet = Atomic<Bool>(false)
    }

    /// Whether what the server says is lost on its way.
    var losesReplies: Bool {
        get { lost.isSet.load(ordering: .relaxed) }
        set { lost.isSet.store(newValue, ordering: .relaxed) }
    }

    var url: String { "redis://127.0.0.1:\(channel.localAddress?.port ?? 0)/0" }
    var count: Int { trips.value }

    init(before server: RedisServer) async throws {
        let (port, trips, lost) = (server.port, trips, lost)
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { client in
                ClientBootstrap(group: client.eventLoop)
                    .connect(host: "127.0.0.1", port: port)
                    .flatMapThrowing { server in
                        let turn = Turn()
                        try client.pipeline.syncOperations.addHandler(
                            Forward(to: server, turn: turn, isClient: true, trips: trips, lost: lost))
                        try server.pipeline.syncOperations.addHandler(
                            Forward(to: client, turn: turn, isClient: false, trips: trips, lost: lost))
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func close() async { try? await channel.close() }

    /// Whose turn it was last; both ends of a connection share it, on one event loop.
    private final class Turn {
        var isClients = false
        var hasLost = false
    }

    private final class Forward: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let other: any Channel
        let turn: Turn
        let isClient: Bool
        let trips: Counter
        let lost: Flag

        init(to other: any Channel, turn: Turn, isClient: Bool, trips: Counter, lost: Flag) {
            self.other = other
            self.turn = turn
            self.isClient = isClient
            self.trips = trips
            self.lost = lost
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if isClient, !turn.isClients { trips.increment() }
            turn.isClients = isClient
            // A stream that has lost something carries nothing more: what comes later would be taken for what was lost.
            if !isClient, turn.hasLost || lost.isSet.load(ordering: .relaxed) {
                turn.hasLost = true
                return
            }
            other.writeAndFlush(unwrapInboundIn(data), promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
