import CloakroomRedisClient
import NIOCore

/// What all connections of one event loop share. A request lives on one loop from its first byte to its last, so that
/// nothing here needs a lock.
final class LoopRoom {
    /// How often connections are looked at for what has taken too long.
    private static let interval = TimeAmount.milliseconds(250)
    private static let mostSpareBuffers = 8
    private static let largestSpareBuffer = 32_768

    let core: GatewayCore
    let loop: any EventLoop
    let allocator = ByteBufferAllocator()
    /// The connections to the upstream, if there is one.
    let upstreamPool: UpstreamPool?
    let dates = DateField()
    let metrics = LoopMetrics()
    /// The event streams of this loop.
    private(set) lazy var live = LiveRoom(
        room: self, shared: core.live, number: core.live.add(NIOLoopBound(self, eventLoop: loop), on: loop))
    /// The time, as of the last look at all connections: exact enough for limits in seconds.
    private(set) var now = NIODeadline.now()
    private let accessLog: AccessLog
    private let executor: EventLoopTaskExecutor
    private var clients: [ObjectIdentifier: any ClientConnection] = [:]
    private var spareBuffers: [ByteBuffer] = []
    private var timer: RepeatedTask?
    private var whenEmpty: (() -> Void)?
    private(set) var isDraining = false

    init(core: GatewayCore, loop: any EventLoop) {
        self.core = core
        self.loop = loop
        executor = EventLoopTaskExecutor(loop)
        accessLog = AccessLog(logger: core.logger, loop: loop)
        upstreamPool = core.upstream.map { [metrics] in
            UpstreamPool(target: $0.target, loop: loop, limits: core.limits, metrics: metrics)
        }
        let bound = NIOLoopBound(self, eventLoop: loop)
        timer = loop.scheduleRepeatedTask(initialDelay: Self.interval, delay: Self.interval) { _ in bound.value.tick() }
    }

    // MARK: Buffers

    /// An empty buffer to write to: one for all connections in turn, which stays in the processor's cache, rather than one
    /// in each.
    func takeBuffer() -> ByteBuffer {
        guard !spareBuffers.isEmpty else { return allocator.buffer(capacity: 2048) }
        var buffer = spareBuffers.removeFirst()
        // With storage of its own, if the bytes that it held are not on their way yet.
        buffer.clear()
        return buffer
    }

    /// Takes a buffer back that was handed to a channel, or is of no use any more.
    func giveBack(_ buffer: ByteBuffer) {
        if spareBuffers.count < Self.mostSpareBuffers, buffer.capacity <= Self.largestSpareBuffer {
            spareBuffers.append(buffer)
        }
    }

    // MARK: Requests

    /// Logs and counts a request whose response began.
    ///
    /// - Parameter time: when it began.
    func answered(_ request: GatewayRequest, status: Int, at time: NIODeadline = .now()) {
        let nanoseconds = (time - request.began).nanoseconds
        metrics.requestAnswered(request.route, status: status, nanoseconds: nanoseconds)
        accessLog.write(request, status: status, nanoseconds: nanoseconds)
    }

    /// What was counted here, and what is under way.
    var counts: LoopCounts {
        var counts = metrics.counts
        for client in clients.values { counts.active += client.requestsUnderWay }
        counts.upstreamOpen = upstreamPool?.openCount ?? 0
        counts.upstreamIdle = upstreamPool?.idleCount ?? 0
        return counts
    }

    /// What answers a request that is not for the upstream.
    func ownExchange(for request: GatewayRequest, client: any ClientStream) -> any OwnExchange {
        request.route == .events
            ? LiveExchange(request, client: client, room: self)
            : LocalExchange(request, client: client, room: self)
    }

    // MARK: Connections

    func add(_ client: any ClientConnection) {
        clients[ObjectIdentifier(client)] = client
        if isDraining { client.drain() }
    }

    func remove(_ client: any ClientConnection) {
        clients[ObjectIdentifier(client)] = nil
        endIfEmpty()
    }

    /// Lets requests under way end, and ends all else; then calls `done`.
    func drain(_ done: @escaping () -> Void) {
        isDraining = true
        whenEmpty = done
        for client in Array(clients.values) { client.drain() }
        endIfEmpty()
    }

    /// Ends all connections at once.
    func cutOff() {
        for client in Array(clients.values) { client.cutOffConnection() }
    }

    private func endIfEmpty() {
        guard clients.isEmpty, let done = whenEmpty else { return }
        whenEmpty = nil
        timer?.cancel()
        // It holds this room.
        timer = nil
        upstreamPool?.close()
        accessLog.flush()
        done()
    }

    private func tick() {
        now = .now()
        for client in Array(clients.values) { client.tick(now) }
        upstreamPool?.tick(now)
        live.tick(now)
    }

    // MARK: Tasks

    /// Runs a task on this loop's thread, and what is to follow on the loop.
    func run<Value: Sendable>(
        _ operation: @escaping @Sendable () async -> Value, then: @escaping (Value) -> Void
    ) {
        let bound = NIOLoopBound(then, eventLoop: loop)
        Task(executorPreference: executor) { [loop] in
            let value = await operation()
            if loop.inEventLoop { bound.value(value) } else { loop.execute { bound.value(value) } }
        }
    }
}

/// A client's connection, as its room sees it.
protocol ClientConnection: AnyObject {
    /// Ends what has taken too long.
    func tick(_ now: NIODeadline)

    /// Ends the connection as soon as no request is under way.
    func drain()

    /// Ends the connection now.
    func cutOffConnection()

    /// How many requests have not ended.
    var requestsUnderWay: Int { get }
}

extension Result where Failure == any Error {
    /// What a task returns or throws.
    init(_ body: @Sendable () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
