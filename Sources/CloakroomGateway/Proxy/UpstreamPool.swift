import CloakroomHTTP1
import NIOCore
import NIOPosix

/// The connections of one event loop to the upstream.
///
/// How many there may be is said by ``UpstreamPlaces``: each exchange has a place before it gets a connection.
final class UpstreamPool {
    /// Who waits for a connection.
    typealias Receiver = (Result<UpstreamConnection, any Error>) -> Void

    private let target: UpstreamTarget
    private let loop: any EventLoop
    private let limits: ConnectionLimits
    /// Those that carry nothing; the one that was used last is used next, so that the others can end.
    private var idle: [UpstreamConnection] = []
    private var isClosed = false
    /// How many connections there are, those that carry something included.
    private(set) var openCount = 0
    let metrics: LoopMetrics

    init(target: UpstreamTarget, loop: any EventLoop, limits: ConnectionLimits, metrics: LoopMetrics) {
        self.metrics = metrics
        self.target = target
        self.loop = loop
        self.limits = limits
    }

    /// How many connections carry nothing.
    var idleCount: Int { idle.count }

    /// A connection that is ready, if there is one.
    func takeIdle() -> UpstreamConnection? {
        while let connection = idle.popLast() {
            if connection.isUsable { return connection }
        }
        return nil
    }

    /// Makes a connection.
    func connect(_ receiver: @escaping Receiver) {
        let bound = NIOLoopBound((pool: self, receiver: receiver), eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(limits.connect)
            .channelOption(.autoRead, value: false)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [target, limits] channel in
                channel.eventLoop.makeCompletedFuture {
                    try target.addTLS(to: channel)
                    try channel.pipeline.syncOperations.addHandler(
                        UpstreamConnection(pool: bound.value.pool, limits: limits.message))
                }
            }
            .connect(host: target.host, port: target.port)
            .assumeIsolated()
            .whenComplete { result in
                bound.value.receiver(
                    result.flatMap { channel in
                        Result { try channel.pipeline.syncOperations.handler(type: UpstreamConnection.self) }
                    })
            }
    }

    /// Takes back a connection that can carry another exchange.
    func giveBack(_ connection: UpstreamConnection, _ now: NIODeadline) {
        guard !isClosed else { return connection.close() }
        connection.idleSince = now
        idle.append(connection)
    }

    /// A connection was made.
    func note(_ connection: UpstreamConnection) { openCount += 1 }

    /// Forgets a connection that has ended.
    func forget(_ connection: UpstreamConnection) {
        openCount -= 1
        if let index = idle.lastIndex(where: { $0 === connection }) { idle.remove(at: index) }
    }

    /// Ends connections that were idle for too long. The first has been idle longest.
    func tick(_ now: NIODeadline) {
        let count = idle.prefix { now - $0.idleSince >= limits.upstreamIdle }.count
        let old = idle.prefix(count)
        idle.removeFirst(count)
        for connection in old { connection.close() }
    }

    /// Ends all connections that carry nothing, now and from now on.
    func close() {
        isClosed = true
        let all = idle
        idle = []
        for connection in all { connection.close() }
    }
}
