import NIOCore
import NIOSSL

/// One connection to Redis, shared by all callers. Lives on its event loop.
final class RedisChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// More requests than this are not written before replies have come; they wait in the queue, which is bounded.
    private static let maximumInFlight = 16_384

    private let queue: RequestQueue
    /// What is being received, and who waits for it. One value, so that a read of many replies is one access to it.
    private struct Receiving {
        var parser: RESPParser
        var machine = ConnectionStateMachine<RedisRequest>()
        /// Answers that were received and not yet handed over.
        var answered: [(RedisRequest, RESPReplies)] = []
        /// Gets the reports of changes, each before the callers whose replies came after it.
        let reports: TrackingMonitor?

        mutating func receive(_ bytes: ByteBuffer) -> RedisClientError? {
            parser.append(bytes)
            do throws(RESPError) {
                while let value = try parser.next() {
                    switch machine.receive(value) {
                    case .answer(let request, let replies): answered.append((request, replies))
                    case .push(let elements):
                        if let reports, let invalidation = Invalidation(elements) {
                            reports.invalidated(invalidation.keys)
                        }
                    case .wait: break
                    case .close:
                        // So Redis refuses connections: too many clients, protected mode.
                        if case .error(let error) = value {
                            return RedisClientError(.handshakeRefused, reason: error.description)
                        }
                        return RedisClientError(.protocolViolation, reason: "a reply to no command")
                    }
                }
                return nil
            } catch .unknownType(0x15) {
                // The type of the record in which TLS says that it did not understand.
                return RedisClientError(
                    .protocolViolation, reason: "the server speaks TLS there, not RESP3 in the clear")
            } catch {
                return RedisClientError(.protocolViolation, reason: "not RESP3 within limits: \(error)")
            }
        }
    }

    private var receiving: Receiving
    private var context: ChannelHandlerContext?
    /// Whether requests wait in the queue because the connection could not take them.
    private var isBlocked = false
    /// Whether nothing more will come into the queue.
    private var isDraining = false
    private var lastReceived = NIODeadline.now()
    /// Whether the connection looked dead at the last look.
    private var hasStalled = false
    /// The size of the last write, a good guess at the next.
    private var bufferSize = 4096
    /// Why the connection was closed, if we know better than "it was closed".
    private(set) var closeError: RedisClientError?
    /// The requests that had no reply when the connection went.
    private var unanswered: [RedisRequest] = []
    /// What is known of changes of the keys that are read; `nil` if no one wants to know.
    private var tracking: ConnectionTracking?
    /// Whether anything has come from Redis itself, what TLS needs for itself not counted.
    private var hasReceived = false

    init(queue: RequestQueue, limits: RESPLimits, tracking: TrackingMonitor?) {
        self.queue = queue
        self.receiving = Receiving(parser: RESPParser(limits: limits), reports: tracking)
        self.tracking = tracking.map { ConnectionTracking($0) }
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    var inFlightCount: Int { receiving.machine.inFlightCount }

    // MARK: Writing

    /// Fetches what waits in the queue and writes it with one flush.
    func writeQueued() {
        guard let context, context.channel.isWritable, receiving.machine.inFlightCount < Self.maximumInFlight else {
            isBlocked = true
            return
        }
        isBlocked = false
        write(queue.fetch())
        if isDraining { receiving.machine.drain() }
    }

    /// Writes these requests, ahead of what waits in the queue.
    func write(_ requests: [RedisRequest]) {
        guard let context, closeError == nil else {
            unanswered += requests
            return
        }
        let now = NIODeadline.now()
        let before = receiving.machine.inFlightCount
        var buffer = context.channel.allocator.buffer(capacity: bufferSize)
        for request in requests where request.isWaiting {
            guard request.deadline > now else {
                request.end(RedisClientError(.notSent, reason: "the command could not be sent in time"))
                continue
            }
            guard receiving.machine.write(request, expecting: request.payload.count) else {
                unanswered.append(request)
                continue
            }
            request.noteSent()
            request.payload.encode(into: &buffer)
        }
        guard buffer.readableBytes > 0 else { return }
        tracking?.wrote(receiving.machine.inFlightCount - before, at: now)
        // A single large value must not make every later buffer as large.
        bufferSize = min(max(buffer.readableBytes, 1024), 262_144)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if isBlocked { writeQueued() }
        if receiving.machine.isDrained { context.close(promise: nil) }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastReceived = .now()
        let failure = receiving.receive(unwrapInboundIn(data))
        handOver()
        hasReceived = true
        tracking?.received(inFlight: receiving.machine.inFlightCount)
        if let failure { return close(context, failure) }
        if isBlocked { writeQueued() }
        if receiving.machine.isDrained { context.close(promise: nil) }
    }

    /// Resumes callers in one go: resumed one by one while the rest is being parsed, each would wake a thread of its own.
    private func handOver() {
        let answered = receiving.answered
        for (request, replies) in answered { request.succeed(replies) }
        receiving.answered.removeAll(keepingCapacity: answered.count <= 1024)
    }

    // MARK: Time

    /// Fails requests whose time is over. If nothing at all has come for as long as that, the connection is dead.
    ///
    /// It is given up only when that is still so at the next look: on a machine that is busy, what has come may lie in the
    /// socket, unread because we were late ourselves.
    func expire(now: NIODeadline, stallLimit: TimeAmount) {
        var isOverdue = false
        var isLongOverdue = false
        receiving.machine.forEachInFlight { request in
            guard request.deadline <= now else { return false }
            isOverdue = true
            // Pushes without end must not make a connection look alive on which nothing is answered.
            if request.deadline + stallLimit * 4 <= now { isLongOverdue = true }
            request.end(RedisClientError(.timeout, reason: "Redis did not answer in time"))
            return true
        }
        guard isOverdue, let context, isLongOverdue || lastReceived + stallLimit <= now else {
            hasStalled = false
            return
        }
        guard hasStalled else {
            hasStalled = true
            return
        }
        close(
            context,
            RedisClientError(.connectionLost, reason: "Redis has not answered for \(stallLimit.milliseconds) ms"))
    }

    // MARK: Tracking

    /// Tells that the handshake is over and callers are about to use the connection.
    ///
    /// - Parameter refusal: why the server reports no changes; `nil` if it does.
    func beginTracking(refusal: RedisServerError?) {
        // It would never end: the channel has told already that it is inactive.
        guard let context, context.channel.isActive, closeError == nil else { return }
        tracking?.begin(refusal: refusal)
    }

    /// Sends a `PING` if nothing else is on the way that would show whether the server still reports changes.
    func keepTracking(now: NIODeadline, patience: TimeAmount) {
        guard !isDraining, tracking?.isPingDue(now: now) == true else { return }
        let request = RedisRequest(.one(.heartbeat), deadline: now + patience)
        if request.begin(.nobody) { write([request]) }
    }

    // MARK: Ending

    /// Writes what still waits and closes when all is answered.
    func drain() {
        isDraining = true
        writeQueued()
        if receiving.machine.isDrained { context?.close(promise: nil) }
    }

    /// Closes the connection for a reason of the client's.
    func disconnect(_ error: RedisClientError) {
        if let context { close(context, error) }
    }

    private func close(_ context: ChannelHandlerContext, _ error: RedisClientError) {
        guard closeError == nil else { return }
        closeError = error
        // With TLS the connection may last a while yet, but no one must rely on it.
        tracking?.end()
        _ = queue.disconnected(error, retrying: [])
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
        if let failure = TLSFailure(error, certificate: certificate) {
            let isRefusal = failure.isRefusal && !hasReceived
            close(context, RedisClientError(isRefusal ? .handshakeRefused : .connectionLost, reason: failure.reason))
        } else {
            close(context, RedisClientError(.connectionLost, reason: ConnectionFailure.describe(error)))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        tracking?.end()
        unanswered = receiving.machine.close() + unanswered
        context.fireChannelInactive()
    }

    /// Why a connection was lost during the handshake.
    func handshakeError(isTLS: Bool) -> RedisClientError {
        let error = closeError ?? RedisClientError(.connectionLost, reason: "Redis closed the connection")
        guard error.code == .connectionLost, !isTLS, !hasReceived else { return error }
        // All that a server that speaks nothing but TLS tells us is that it does not understand.
        return RedisClientError(
            .connectionLost, reason: "\(error.reason), before it answered anything; it may want TLS (rediss://)")
    }

    /// What it may mean that the handshake was not answered in time.
    func silenceReason(isTLS: Bool) -> String {
        isTLS && !hasReceived
            ? "TLS was not established in time; the server may not speak TLS there"
            : "Redis did not answer the handshake in time"
    }

    /// The requests that had no reply when the connection went; each is handed out once.
    func takeUnanswered() -> [RedisRequest] {
        defer { unanswered = [] }
        return receiving.machine.close() + unanswered
    }
}

extension TimeAmount {
    fileprivate var milliseconds: Int64 { nanoseconds / 1_000_000 }
}
