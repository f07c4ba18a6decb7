import NIOCore
import NIOPosix
import Synchronization

/// One connection to one server, shared by many callers, and made anew whenever it is lost.
final class MultiplexedConnection: Sendable {
    private let configuration: RedisClientConfiguration
    private let status: ConnectionStatus
    private let locate: @Sendable () async throws -> RedisEndpoint
    private let resources: ConnectionResources
    private let handshake: Handshake
    let eventLoop: any EventLoop
    private let queue: RequestQueue
    private let timeout: TimeAmount
    private let isRunning = Atomic<Bool>(false)
    private let current = Mutex<Connection?>(nil)
    /// The wait between two attempts to connect, if there is one now.
    private let pause = Mutex<EventLoopPromise<Void>?>(nil)
    /// The attempt to connect that is under way, if there is one.
    private let attempt = Mutex<(any Channel)?>(nil)
    /// Whether the next attempt shall come soon, whatever went before.
    private let isHurried = Atomic<Bool>(false)

    /// A connection as other threads see it.
    private struct Connection: Sendable {
        let channel: any Channel
        let handler: NIOLoopBound<RedisChannelHandler>
    }

    /// Nothing is connected before ``run()``.
    ///
    /// - Parameters:
    ///   - resources: what the connections of one client share, to whatever servers.
    ///   - greeting: further commands of each handshake, to find out what kind of server it is.
    ///   - accept: judges the replies to them, errors included; throws to refuse the server.
    ///   - locate: says where the server is; asked anew before each attempt to connect.
    init(
        configuration: RedisClientConfiguration, resources: ConnectionResources, status: ConnectionStatus,
        eventLoop: any EventLoop, greeting: [RedisCommand] = [],
        accept: @escaping @Sendable ([RESPValue]) throws -> Void = { _ in },
        locate: @escaping @Sendable () async throws -> RedisEndpoint
    ) {
        self.configuration = configuration
        self.resources = resources
        self.handshake = Handshake(configuration: configuration, greeting: greeting, accept: accept)
        self.status = status
        self.locate = locate
        self.eventLoop = eventLoop
        self.timeout = TimeAmount(configuration.commandTimeout)
        self.queue = RequestQueue(maximumCount: configuration.maximumWaitingRequests, patience: timeout)
    }

    /// Whether there is a connection now, as far as is known.
    var isUp: Bool { queue.isUp.load(ordering: .relaxed) }

    // MARK: Requests

    /// - Parameter deadline: until when the caller waits; `nil` for as long as the configuration says.
    nonisolated(nonsending) func send(_ command: RedisCommand, deadline: NIODeadline? = nil) async throws -> RESPValue {
        let request = RedisRequest(.one(command), deadline: deadline ?? .now() + timeout)
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                submit(request, .one(continuation))
            }
        } onCancel: {
            request.fail(CancellationError())
        }
    }

    /// - Parameter deadline: until when the caller waits; `nil` for as long as the configuration says.
    nonisolated(nonsending) func send(pipeline commands: [RedisCommand], deadline: NIODeadline? = nil) async throws
        -> [RESPValue]
    {
        let request = RedisRequest(.many(commands), deadline: deadline ?? .now() + timeout)
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                submit(request, .many(continuation))
            }
        } onCancel: {
            request.fail(CancellationError())
        }
    }

    private func submit(_ request: RedisRequest, _ waiter: RedisRequest.Waiter) {
        guard request.begin(waiter) else { return }
        enqueue(request)
    }

    private func enqueue(_ request: RedisRequest) {
        switch queue.enqueue(request) {
        case .none: break
        case .fail(let error): request.end(error)
        case .wakeConnection:
            eventLoop.execute { self.current.withLock { $0 }?.handler.value.writeQueued() }
        case .waitForConnection:
            // Before `run()` nothing else would end its wait.
            guard !isRunning.load(ordering: .relaxed) else { return }
            eventLoop.scheduleTask(deadline: request.deadline) {
                // If it was sent meanwhile, it has a time limit there, and may have been carried out.
                let (overdue, error) = self.queue.takeOverdue(now: .now())
                self.fail(overdue, error)
            }
        }
    }

    // MARK: Life

    typealias HandOver = @Sendable ([RedisRequest]) -> [RedisRequest]

    /// Connects, and connects again whenever the connection is lost, until ``shutDown()`` or cancellation.
    ///
    /// - Parameter handOver: gives requests that wait here, while there is no connection, to one that is up; returns those
    ///   that no one took.
    func run(handOver: @escaping HandOver) async {
        isRunning.store(true, ordering: .relaxed)
        let tick = startTicking(handOver)
        defer { tick.cancel() }
        await withTaskCancellationHandler {
            await keepConnected(handOver)
        } onCancel: {
            shutDown()
            current.withLock { $0 }?.channel.close(promise: nil)
        }
        fail(queue.takeAll(), Self.shutDownError)
    }

    /// Refuses further commands, waits for the replies to those that were given, and ends ``run()``.
    func shutDown() {
        queue.shutDown()
        pause.withLock { $0 }?.succeed()
        eventLoop.execute { self.current.withLock { $0 }?.handler.value.drain() }
    }

    /// Closes the connection, if there is one, so that its server is located anew.
    ///
    /// - Parameter error: why; what the requests that have no reply fail with, unless they can be sent again.
    func disconnect(_ error: RedisClientError) {
        eventLoop.execute { self.current.withLock { $0 }?.handler.value.disconnect(error) }
    }

    /// Tells that there is something new to know about where the server is: gives up the attempt to connect that is under
    /// way, and makes the next one soon.
    func reconnectNow() {
        isHurried.store(true, ordering: .relaxed)
        attempt.withLock { $0 }?.close(promise: nil)
        pause.withLock { $0 }?.succeed()
    }

    /// Keeps requests back, those that come too, until they are released or their time is over. What was sent is answered.
    func hold() { queue.hold() }

    /// Lets requests that were kept back go on.
    func release() {
        guard queue.release() else { return }
        eventLoop.execute { self.current.withLock { $0 }?.handler.value.writeQueued() }
    }

    /// Lets requests that were kept back go on over the next connection that is made.
    func releaseWhenConnected() { queue.releaseWhenConnected() }

    /// How many requests were sent and have no reply yet.
    func inFlightCount() async -> Int {
        let count = try? await eventLoop.submit { [self] in
            current.withLock { $0 }?.handler.value.inFlightCount ?? 0
        }.get()
        return count ?? 0
    }

    private func keepConnected(_ handOver: @escaping HandOver) async {
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        while !queue.isShutDown {
            let error: RedisClientError
            // What is told from here on, this attempt may have missed.
            if isHurried.exchange(false, ordering: .relaxed) { backoff.reset() }
            do {
                let connection = try await connect()
                let start = NIODeadline.now()
                error = await serve(connection, handOver)
                if queue.isShutDown { break }
                // A server that accepts and hangs up at once must not be knocked at 50 times a second.
                if NIODeadline.now() - start > .seconds(1) { backoff.reset() }
                status.lost(error.reason)
            } catch let failure {
                if queue.isShutDown { break }
                error =
                    failure as? RedisClientError
                    ?? RedisClientError(.notConnected, reason: ConnectionFailure.describe(failure))
                status.failed(error.reason)
            }
            if !queue.disconnected(error, retrying: []) { break }
            if isHurried.load(ordering: .relaxed) { backoff.reset() }
            await wait(for: backoff.delay(using: &generator))
        }
    }

    private func connect() async throws -> Connection {
        let timeout = TimeAmount(configuration.connectTimeout)
        let deadline = NIODeadline.now() + timeout
        let (queue, limits, resources) = (queue, configuration.limits, resources)
        let endpoint = try await locate()
        let peer = try resources.tlsPeer(for: endpoint)
        defer { attempt.withLock { $0 = nil } }
        let connection = try await ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            .channelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 16_384, maximum: 65_536)
            )
            .connect(to: endpoint) { channel in
                self.attempt.withLock { $0 = channel }
                return channel.eventLoop.makeCompletedFuture {
                    if let peer { try channel.pipeline.syncOperations.addHandler(peer.makeHandler()) }
                    let handler = RedisChannelHandler(queue: queue, limits: limits, tracking: resources.tracking)
                    try channel.pipeline.syncOperations.addHandler(handler)
                    return Connection(channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
                }
            }
        do {
            try await greet(connection, isTLS: peer != nil, deadline: deadline)
            return connection
        } catch {
            try? await connection.channel.close()
            throw error
        }
    }

    private func greet(_ connection: Connection, isTLS: Bool, deadline: NIODeadline) async throws {
        let request = RedisRequest(.many(handshake.commands), deadline: deadline)
        // The channel is not the current connection yet, so the tick does not see it.
        let expiry = eventLoop.scheduleTask(deadline: deadline) {
            request.fail(RedisClientError(.timeout, reason: connection.handler.value.silenceReason(isTLS: isTLS)))
        }
        connection.channel.closeFuture.whenComplete { _ in
            request.fail(connection.handler.value.handshakeError(isTLS: isTLS))
        }
        defer { expiry.cancel() }
        let replies: [RESPValue] = try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                guard request.begin(.many(continuation)) else { return }
                eventLoop.execute { connection.handler.value.write([request]) }
            }
        } onCancel: {
            request.fail(CancellationError())
        }
        let outcome = try handshake.judge(replies)
        guard resources.tracking != nil else { return }
        // Before the first caller's command is written.
        try await eventLoop.submit { connection.handler.value.beginTracking(refusal: outcome.trackingRefusal) }.get()
    }

    /// Lets callers use the connection until it ends.
    ///
    /// - Returns: why it ended.
    private func serve(_ connection: Connection, _ handOver: @escaping HandOver) async -> RedisClientError {
        current.withLock { $0 = connection }
        if isHurried.load(ordering: .relaxed) {
            // Its server was located before there was something new to know.
            status.connected()
            connection.channel.close(promise: nil)
        } else if queue.connected() {
            status.connected()
            eventLoop.execute { connection.handler.value.writeQueued() }
        } else {
            connection.channel.close(promise: nil)
        }
        try? await connection.channel.closeFuture.get()
        let error = try? await eventLoop.submit { [self] in
            current.withLock { $0 = nil }
            defer { rescue(handOver) }
            return end(connection)
        }.get()
        return error ?? RedisClientError(.connectionLost, reason: "the connection was lost")
    }

    /// Sorts out what the lost connection owed. On the event loop.
    private func end(_ connection: Connection) -> RedisClientError {
        let handler = connection.handler.value
        let error = handler.closeError ?? RedisClientError(.connectionLost, reason: "Redis closed the connection")
        let now = NIODeadline.now()
        var retrying: [RedisRequest] = []
        var lost: [RedisRequest] = []
        for request in handler.takeUnanswered() {
            if request.claimRetry(now: now) { retrying.append(request) } else { lost.append(request) }
        }
        let reported = RedisClientError(.connectionLost, reason: error.reason)
        fail(lost, reported)
        if !queue.disconnected(error, retrying: retrying) { fail(retrying, reported) }
        return error
    }

    private static let shutDownError = RedisClientError(.shutDown, reason: "the Redis client was shut down")

    private func fail(_ requests: [RedisRequest], _ error: RedisClientError) {
        for request in requests { request.end(error) }
    }

    /// Takes requests from a caller that found its favourite connection down too late.
    func adopt(_ requests: [RedisRequest]) {
        for request in requests { enqueue(request) }
    }

    private func rescue(_ handOver: HandOver) {
        let stranded = queue.takeStranded()
        guard !stranded.isEmpty else { return }
        let left = handOver(stranded)
        if !queue.putBack(left) { fail(left, Self.shutDownError) }
    }

    // MARK: Time

    private func startTicking(_ handOver: @escaping HandOver) -> RepeatedTask {
        let interval = TimeAmount.nanoseconds(min(max(timeout.nanoseconds / 8, 5_000_000), 100_000_000))
        return eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [self] _ in
            let now = NIODeadline.now()
            if let handler = current.withLock({ $0 })?.handler.value {
                handler.expire(now: now, stallLimit: timeout)
                handler.keepTracking(now: now, patience: timeout)
            }
            let (overdue, error) = queue.takeOverdue(now: now)
            fail(overdue, error)
            rescue(handOver)
        }
    }

    /// Waits, but not beyond the shutdown.
    private func wait(for delay: Duration) async {
        let promise = eventLoop.makePromise(of: Void.self)
        pause.withLock { $0 = promise }
        let timer = eventLoop.scheduleTask(in: TimeAmount(delay)) { promise.succeed() }
        // A shutdown that came before the promise was there to see.
        if queue.isShutDown { promise.succeed() }
        try? await promise.futureResult.get()
        timer.cancel()
    }
}

extension ClientBootstrap {
    func connect<Output: Sendable>(
        to endpoint: RedisEndpoint, channelInitializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Output>
    ) async throws -> Output {
        switch endpoint {
        case .tcp(let host, let port):
            try await channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelOption(.socketOption(.so_keepalive), value: 1)
                .connect(host: host, port: port, channelInitializer: channelInitializer)
        case .unix(let path):
            try await connect(unixDomainSocketPath: path, channelInitializer: channelInitializer)
        }
    }
}
