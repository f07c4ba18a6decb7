import Logging
import NIOCore
import NIOPosix

/// The listening socket and the rooms of the event loops, among which connections are shared out one after the other.
final class Listener: Sendable {
    private let rooms: [NIOLoopBound<LoopRoom>]
    private let loops: [any EventLoop]
    private let server: any Channel

    /// Listens.
    ///
    /// - Throws: `IOError` when the address can't be had.
    init(core: GatewayCore, host: String, port: Int, group: any EventLoopGroup) async throws {
        var rooms: [NIOLoopBound<LoopRoom>] = []
        var loops: [any EventLoop] = []
        for loop in group.makeIterator() {
            loops.append(loop)
            rooms.append(
                try await loop.submit { NIOLoopBound(LoopRoom(core: core, loop: loop), eventLoop: loop) }.get())
        }
        for (room, loop) in zip(rooms, loops) { core.add(room, on: loop) }
        self.rooms = rooms
        self.loops = loops
        let byLoop = Dictionary(uniqueKeysWithValues: zip(loops.map { ObjectIdentifier($0) }, rooms))
        do {
            server = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.autoRead, value: false)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard let room = byLoop[ObjectIdentifier(channel.eventLoop)]?.value else {
                            throw ChannelError.operationUnsupported
                        }
                        try ConnectionStart.begin(channel, room: room)
                    }
                }
                .bind(host: host, port: port).get()
        } catch {
            await Self.drain(rooms, loops)
            throw error
        }
    }

    /// The port that it listens on.
    var port: Int { server.localAddress?.port ?? 0 }

    /// Takes no more connections, and lets requests under way end. Cancelled, it ends them.
    func shutDown() async {
        try? await server.close()
        await withTaskCancellationHandler {
            await Self.drain(rooms, loops)
        } onCancel: {
            for (room, loop) in zip(rooms, loops) { loop.execute { room.value.cutOff() } }
        }
    }

    private static func drain(_ rooms: [NIOLoopBound<LoopRoom>], _ loops: [any EventLoop]) async {
        await withTaskGroup(of: Void.self) { group in
            for (room, loop) in zip(rooms, loops) {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        loop.execute { room.value.drain { continuation.resume() } }
                    }
                }
            }
        }
    }
}
