import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import CloakroomOIDC
import HTTPTypes
import Logging
import NIOCore

/// Forwards one request to the upstream, and its response to the client.
///
/// It is admitted, gets a place, gets a connection, and then bytes pass in both directions, each at the pace of whoever takes
/// them. Whatever ends it, its place is given back, and its connection is either clean or closed.
final class ProxyExchange: Exchange, UpstreamUser {
    private enum Stage {
        case admitting
        case waiting(number: UInt64, until: NIODeadline)
        case connecting
        case exchanging(UpstreamConnection)
        case over
    }

    private let room: LoopRoom
    private let upstream: GatewayCore.Upstream
    private let request: GatewayRequest
    private var client: (any ClientStream)?
    private var stage = Stage.admitting
    private var pass: Admission.Pass?
    private var path: String?
    private var hasPlace = false
    /// A connection is being made: the place is held until that has ended, or clients that come and go could have any number
    /// of them made.
    private var isConnecting = false
    private var hasBegun = false
    private var hasSentBody = false
    private var isRetry = false
    /// When the response must have begun, and later must have gone on.
    private var deadline = NIODeadline.distantFuture

    init(_ request: GatewayRequest, client: any ClientStream, upstream: GatewayCore.Upstream, room: LoopRoom) {
        self.request = request
        self.client = client
        self.upstream = upstream
        self.room = room
    }

    // MARK: Before the upstream is asked

    /// - Parameter memory: the session that the client's connection presented last.
    func start(_ memory: inout PresentedSession?) {
        let core = room.core
        if let refusal = core.admission.guardBytes.refusal(of: request.head, needsField: true) {
            core.admission.events.emit(
                SessionEvent(.denied(reason: refusal.rawValue), origin: request.origin))
            return refuse(.refused(refusal))
        }
        if !UpstreamPath.isPlain(request.head) {
            guard let path = UpstreamPath(request.head.fields.text(request.head.target)) else {
                return refuse(.problem("invalid_path", status: .badRequest))
            }
            self.path = path.pathAndQuery
        }
        admit(&memory)
    }

    private func admit(_ memory: inout PresentedSession?) {
        let core = room.core
        switch core.admission.decideNow(core.admission.presented(request.head, &memory)) {
        case .decided(let decision): admitted(decision)
        case .ask(let presented):
            room.run { [admission = core.admission, origin = request.origin] in
                await RequestOrigin.$current.withValue(origin) {
                    await Result { try await admission.decide(presented) }
                }
            } then: { result in
                guard case .admitting = self.stage else { return }
                switch result {
                case .success(let decision): self.admitted(decision)
                case .failure(let error): self.refuse(core.responder.answer(to: error, self.request))
                }
                // Nothing else is going to.
                self.flush()
            }
        }
    }

    private func admitted(_ decision: Admission.Decision) {
        switch decision {
        case .refuse(let answer): refuse(answer)
        case .pass(let pass):
            request.handle = pass.session.handle
            self.pass = pass
            if hasPlace { usePlace() } else { takePlace(pass.session.handle) }
        }
    }

    private func takePlace(_ handle: SessionHandle) {
        if upstream.places.take(for: handle) { return usePlace() }
        let bound = NIOLoopBound(self, eventLoop: room.loop)
        let places = upstream.places
        let answer = places.wait(for: handle) { [loop = room.loop] in
            loop.execute {
                guard case .waiting = bound.value.stage else { return places.giveBack(handle) }
                bound.value.placeGrantedLate()
                bound.value.flush()
            }
        }
        switch answer {
        case .granted: usePlace()
        case .waiting(let number):
            stage = .waiting(number: number, until: room.now + room.core.limits.place)
        case .refused: refuseForWantOfPlace(.upstreamPlaces)
        }
    }

    private func refuseForWantOfPlace(_ limit: RefusingLimit) {
        room.metrics.refused(limit)
        room.core.logger.warning(
            "Too many requests at the upstream",
            metadata: ["request_id": "\(request.id)", "session": "\(request.handle?.description ?? "")"])
        refuse(
            .problem(
                "too_many_requests_at_upstream", status: .serviceUnavailable,
                headers: [.retryAfter: FailureAnswers.retryAfter]))
    }

    /// While it waited, the session may have ended or its token been refreshed, so it is asked for once more.
    private func placeGrantedLate() {
        hasPlace = true
        stage = .admitting
        var memory: PresentedSession?
        admit(&memory)
    }

    private func usePlace() {
        hasPlace = true
        deadline = room.now + upstream.timeout
        if let connection = room.upstreamPool?.takeIdle() { send(on: connection) } else { connect() }
    }

    private func connect() {
        stage = .connecting
        guard let pool = room.upstreamPool else { return fail(.upstreamUnavailable, "no pool") }
        isConnecting = true
        pool.connect { result in
            self.isConnecting = false
            guard case .connecting = self.stage else {
                // Nobody needs it any more here; someone else may.
                if case .success(let connection) = result { pool.giveBack(connection, self.room.now) }
                return self.end()
            }
            switch result {
            case .success(let connection): self.send(on: connection)
            case .failure(let error):
                self.fail(
                    error is ChannelError ? .upstreamTimeout : .upstreamUnavailable, HTTPFailure.describe(error))
            }
            self.flush()
        }
    }

    // MARK: The exchange

    private func send(on connection: UpstreamConnection) {
        guard let pass, let client else { return }
        stage = .exchanging(connection)
        connection.begin(self, isHead: request.head.method == .head)
        var output = room.takeBuffer()
        upstream.forwarded.write(
            request, path: path, accessToken: pass.accessToken, into: &output)
        connection.write(output)
        room.giveBack(output)
        if !request.isWhole {
            client.askForBody()
            client.wantsChanged()
        }
    }

    var wantsBody: Bool {
        guard case .exchanging(let connection) = stage else { return false }
        return connection.isWritable
    }

    func bodyCame(_ data: ByteBuffer) {
        guard case .exchanging(let connection) = stage else { return }
        hasSentBody = true
        guard request.head.framing == .chunked else { return connection.write(data) }
        connection.write(ChunkBytes.framed(data, room.allocator))
    }

    func bodyEnded() {
        guard case .exchanging(let connection) = stage else { return }
        if request.head.framing == .chunked { connection.write(ByteBuffer(staticString: "0\r\n\r\n")) }
    }

    func clientIsWritable() {
        guard case .exchanging(let connection) = stage else { return }
        connection.setMayRead(true)
    }

    func clientIsGone() {
        switch stage {
        case .waiting(let number, _): _ = upstream.places.giveUp(number)
        case .exchanging(let connection): connection.close()
        case .admitting, .connecting, .over: break
        }
        end()
    }

    func flush() {
        if case .exchanging(let connection) = stage { connection.flush() }
        client?.flush()
    }

    func tick(_ now: NIODeadline) {
        switch stage {
        case .waiting(let number, let until) where now >= until:
            // Else it was granted this very moment.
            if upstream.places.giveUp(number) { refuseForWantOfPlace(.upstreamQueue) }
        case .exchanging where hasBegun && client?.isWritable == false:
            // It is the client that is waited for.
            deadline = now + room.core.limits.responseStall
            return
        case .connecting where now >= deadline, .exchanging where now >= deadline:
            fail(.upstreamTimeout, "timeout")
        default: return
        }
        flush()
    }

    // MARK: What the upstream says

    func interimResponseCame(_ head: ResponseHead) {
        // Whether the client is asked for its body is said here; see `send(on:)`.
        if head.status != 100 { client?.sendInterim(head) }
    }

    func responseBegan(_ head: ResponseHead) {
        hasBegun = true
        deadline = room.now + room.core.limits.responseStall
        client?.beginResponse(head)
    }

    func responseBodyCame(_ data: ByteBuffer) { client?.sendBody(data) }

    func responsePaused() {
        guard case .exchanging(let connection) = stage, let client else { return }
        client.flush()
        if hasBegun { deadline = room.now + room.core.limits.responseStall }
        connection.setMayRead(client.isWritable)
    }

    func responseEnded(isReusable: Bool) {
        guard case .exchanging(let connection) = stage else { return }
        // An upload that was answered early leaves its rest to be sent.
        if isReusable && request.isWhole {
            room.upstreamPool?.giveBack(connection, room.now)
        } else {
            connection.close()
        }
        let client = client
        end()
        // The last, as the connection may go on to its next request.
        client?.endResponse()
        client?.flush()
    }

    func upstreamIsWritable() { client?.wantsChanged() }

    func upstreamFailed(_ failure: HTTP1Failure?, mayRetry: Bool) {
        guard case .exchanging = stage else { return }
        // Not twice, and never what may have been carried out or can't be said again (RFC 9110 §9.2.2).
        if mayRetry, !isRetry, !hasSentBody, request.isWhole, request.isIdempotent {
            isRetry = true
            return connect()
        }
        fail(.upstreamUnavailable, failure?.name ?? "closed")
        flush()
    }

    // MARK: Ends

    private enum Failure {
        case upstreamUnavailable, upstreamTimeout

        var answer: HTTPAnswer {
            switch self {
            case .upstreamUnavailable: .problem("upstream_unavailable", status: .badGateway)
            case .upstreamTimeout: .problem("upstream_timeout", status: .gatewayTimeout)
            }
        }
    }

    /// - Parameter reason: a word for the log: never what was sent.
    private func fail(_ failure: Failure, _ reason: String) {
        room.metrics.upstreamFailed(isTimeout: failure == .upstreamTimeout)
        room.core.logger.warning(
            "The upstream failed", metadata: ["error": "\(reason)", "request_id": "\(request.id)"])
        if case .exchanging(let connection) = stage { connection.close() }
        guard hasBegun else { return refuse(failure.answer) }
        let client = client
        end()
        client?.cutOff()
    }

    private func refuse(_ answer: HTTPAnswer) {
        let client = client
        end()
        client?.answer(answer)
    }

    private func end() {
        stage = .over
        client = nil
        guard hasPlace, !isConnecting, let pass else { return }
        hasPlace = false
        upstream.places.giveBack(pass.session.handle)
    }
}

/// Chunks of a body (RFC 9112 §7.1).
enum ChunkBytes {
    /// Bytes beyond this are not copied to stand in one piece with their frame.
    static func framed(_ data: ByteBuffer, _ allocator: ByteBufferAllocator) -> ByteBuffer {
        var out = allocator.buffer(capacity: data.readableBytes + 20)
        out.writeHexadecimal(data.readableBytes)
        out.writeStaticString("\r\n")
        out.writeImmutableBuffer(data)
        out.writeStaticString("\r\n")
        return out
    }
}
