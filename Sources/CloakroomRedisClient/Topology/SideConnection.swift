import DequeModule
import NIOCore
import NIOPosix

/// A connection of its own for a few questions about where the servers are, to a sentinel or to a node of a cluster.
///
/// It is not made anew: it ends with the first error, and its owner decides whom to ask next.
final class SideConnection: Sendable {
    /// How to connect and who we are.
    struct Options: Sendable {
        var resources: ConnectionResources
        var user: String?
        var password: String?
        var clientName: String
        /// For the connection and for each question.
        var timeout: TimeAmount
        var limits: RESPLimits
    }

    private let channel: any Channel
    private let handler: NIOLoopBound<SideChannelHandler>
    private let timeout: TimeAmount
    /// The messages that no question asked for; ends with the connection.
    let pushes: AsyncStream<[RESPValue]>

    private init(
        channel: any Channel, handler: NIOLoopBound<SideChannelHandler>, timeout: TimeAmount,
        pushes: AsyncStream<[RESPValue]>
    ) {
        self.channel = channel
        self.handler = handler
        self.timeout = timeout
        self.pushes = pushes
    }

    /// Asks one question over a connection of its own.
    static func ask(_ commands: [RedisCommand], of endpoint: RedisEndpoint, _ options: Options) async throws
        -> [RESPValue]
    {
        let connection = try await open(endpoint, options)
        defer { connection.close() }
        return try await connection.ask(commands)
    }

    /// Connects and says who we are.
    ///
    /// - Throws: ``RedisClientError``, with `handshakeRefused` if the server does not want us.
    static func open(_ endpoint: RedisEndpoint, _ options: Options) async throws -> SideConnection {
        let (pushes, continuation) = AsyncStream.makeStream(of: [RESPValue].self, bufferingPolicy: .bufferingNewest(64))
        let connection: SideConnection
        do {
            connection = try await connect(endpoint, options, pushes, continuation)
        } catch let error as RedisClientError {
            throw error
        } catch {
            throw RedisClientError(.notConnected, reason: ConnectionFailure.describe(error))
        }
        do {
            let hello = RedisCommand.hello(
                user: options.user, password: options.password, clientName: options.clientName)
            if case .error(let error) = try await connection.ask([hello])[0] {
                throw RedisClientError(.handshakeRefused, reason: "\(hello): \(error)")
            }
        } catch {
            connection.close()
            throw error
        }
        return connection
    }

    private static func connect(
        _ endpoint: RedisEndpoint, _ options: Options, _ pushes: AsyncStream<[RESPValue]>,
        _ continuation: AsyncStream<[RESPValue]>.Continuation
    ) async throws -> SideConnection {
        let peer = try options.resources.tlsPeer(for: endpoint)
        return try await ClientBootstrap(group: options.resources.eventLoopGroup)
            .connectTimeout(options.timeout)
            .connect(to: endpoint) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let peer { try channel.pipeline.syncOperations.addHandler(peer.makeHandler()) }
                    let handler = SideChannelHandler(limits: options.limits, pushes: continuation)
                    try channel.pipeline.syncOperations.addHandler(handler)
                    return SideConnection(
                        channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop),
                        timeout: options.timeout, pushes: pushes)
                }
            }
    }

    /// Sends commands together.
    ///
    /// - Parameter subscription: a command before them that is answered by a push.
    /// - Returns: a reply for each of `commands`, errors included.
    /// - Throws: ``RedisClientError``; then the connection is closed.
    func ask(_ commands: [RedisCommand], after subscription: RedisCommand? = nil) async throws -> [RESPValue] {
        let promise = channel.eventLoop.makePromise(of: [RESPValue].self)
        channel.eventLoop.execute { [self] in
            handler.value.write(commands, after: subscription, promise)
        }
        let expiry = channel.eventLoop.scheduleTask(in: timeout) { [self] in
            handler.value.close(RedisClientError(.timeout, reason: "it did not answer in time"))
        }
        defer { expiry.cancel() }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            close()
        }
    }

    func close() { channel.close(promise: nil) }
}

/// Matches the replies to the questions of a ``SideConnection``. Lives on its event loop.
private final class SideChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var parser: RESPParser
    private var questions: Deque<(expected: Int, replies: [RESPValue], promise: EventLoopPromise<[RESPValue]>)> = []
    private let pushes: AsyncStream<[RESPValue]>.Continuation
    private var context: ChannelHandlerContext?
    private var error: RedisClientError?

    init(limits: RESPLimits, pushes: AsyncStream<[RESPValue]>.Continuation) {
        self.parser = RESPParser(limits: limits)
        self.pushes = pushes
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end()
    }

    func write(
        _ commands: [RedisCommand], after subscription: RedisCommand?, _ promise: EventLoopPromise<[RESPValue]>
    ) {
        guard let context, error == nil else {
            promise.fail(reason)
            return
        }
        questions.append((commands.count, [], promise))
        var buffer = context.channel.allocator.buffer(capacity: 512)
        subscription?.encode(into: &buffer)
        for command in commands { command.encode(into: &buffer) }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        parser.append(unwrapInboundIn(data))
        do throws(RESPError) {
            while error == nil, let value = try parser.next() { receive(value) }
        } catch {
            close(RedisClientError(.protocolViolation, reason: "not RESP3 within limits: \(error)"))
        }
    }

    private func receive(_ value: RESPValue) {
        if case .push(let elements) = value {
            pushes.yield(elements)
            return
        }
        guard !questions.isEmpty else {
            return close(RedisClientError(.protocolViolation, reason: "a reply to no command"))
        }
        questions[0].replies.append(value)
        guard questions[0].replies.count == questions[0].expected else { return }
        let question = questions.removeFirst()
        question.promise.succeed(question.replies)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(RedisClientError(.connectionLost, reason: ConnectionFailure.describe(error)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func close(_ error: RedisClientError) {
        if self.error == nil { self.error = error }
        context?.close(promise: nil)
    }

    private var reason: RedisClientError {
        error ?? RedisClientError(.connectionLost, reason: "it closed the connection")
    }

    private func end() {
        error = reason
        pushes.finish()
        let waiting = questions
        questions = []
        for question in waiting { question.promise.fail(reason) }
    }
}
