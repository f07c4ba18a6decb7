import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import HTTPTypes
import NIOCore
import NIOHPACK
import NIOHTTP2

/// One request over HTTP/2.
///
/// The client may send as much of its body as the stream's window allows, and gets more of it as the exchange takes what has
/// come. What is written waits in the codec until the client opens its window; how much may is bounded here.
final class HTTP2Stream: ClientStream {
    /// How much may wait to be written before the upstream is read no further.
    private static let highWater = 65_536

    let id: HTTP2StreamID
    private unowned let connection: HTTP2Handler
    private let room: LoopRoom
    private var request: GatewayRequest
    private var exchange: (any Exchange)?
    /// What came of the body and was not taken yet: a window's worth at most.
    private var waiting: [ByteBuffer] = []
    private var hasInputEnded: Bool
    private var isPumping = false
    private var hasBegun = false
    private var hasEnded = false
    /// The last part of the body, until it is known whether another follows.
    private var held: ByteBuffer?
    private var unwritten = 0
    private var unwritableSince: NIODeadline?
    private var bodyUntil: NIODeadline

    init(_ request: GatewayRequest, id: HTTP2StreamID, connection: HTTP2Handler, room: LoopRoom) {
        self.request = request
        self.id = id
        self.connection = connection
        self.room = room
        hasInputEnded = request.isWhole
        bodyUntil = room.now + room.core.limits.stall
    }

    func start(_ presented: inout PresentedSession?) {
        let core = room.core
        if case .length(let length) = request.head.framing, length > core.limits.body { return refuse(.bodyBytes) }
        if request.route == .upstream, let upstream = core.upstream, core.upstreamTakes(request.head.method) {
            let exchange = ProxyExchange(request, client: self, upstream: upstream, room: room)
            self.exchange = exchange
            exchange.start(&presented)
        } else {
            let exchange = room.ownExchange(for: request, client: self)
            self.exchange = exchange
            exchange.start(&presented)
        }
        exchange?.flush()
        pump()
    }

    // MARK: What the client sends

    /// - Parameter isLast: whether nothing of the body follows.
    func bodyCame(_ data: ByteBuffer, isLast: Bool) {
        guard !hasEnded else { return }
        if isLast { hasInputEnded = true }
        request.bodyBytes += data.readableBytes
        guard request.bodyBytes <= room.core.limits.body else { return refuse(.bodyBytes) }
        if data.readableBytes > 0 {
            waiting.append(data)
            let patience = room.core.limits.patiencePerByte.map {
                TimeAmount.nanoseconds($0 * Int64(data.readableBytes))
            }
            bodyUntil = min(room.now + room.core.limits.stall, patience.map { bodyUntil + $0 } ?? .distantFuture)
        }
        pump()
    }

    private func pump() {
        guard !isPumping, !request.isWhole else { return }
        isPumping = true
        var taken = 0
        while let exchange, exchange.wantsBody, !waiting.isEmpty {
            let data = waiting.removeFirst()
            taken += data.readableBytes
            exchange.bodyCame(data)
        }
        if let exchange, exchange.wantsBody, waiting.isEmpty, hasInputEnded {
            request.isWhole = true
            exchange.bodyEnded()
        }
        isPumping = false
        if taken > 0, !hasInputEnded, !hasEnded { connection.openWindow(of: id, by: taken) }
        exchange?.flush()
    }

    /// The client has given the stream up, or is gone.
    func gone() {
        guard !hasEnded else { return }
        hasEnded = true
        let exchange = exchange
        self.exchange = nil
        if !hasBegun { room.answered(request, status: ClientHandler.clientClosedRequest) }
        exchange?.clientIsGone()
    }

    func channelWritabilityChanged() { if isWritable { exchange?.clientIsWritable() } }

    func tick(_ now: NIODeadline) {
        guard let exchange else { return }
        if let unwritableSince, now - unwritableSince >= room.core.limits.send {
            exchange.clientIsGone()
            return cutOff()
        }
        if !request.isWhole, !exchange.wantsBody { bodyUntil = now + room.core.limits.stall }
        if !request.isWhole, now >= bodyUntil { refuse(.bodyTime) } else { exchange.tick(now) }
    }

    func drain() { exchange?.drain() }

    /// Ends the exchange with this answer, if none has begun.
    private func refuse(_ limit: RefusingLimit) {
        room.metrics.refused(limit)
        exchange?.clientIsGone()
        exchange = nil
        guard !hasBegun else { return cutOff() }
        answer(limit.answer)
        flush()
    }

    // MARK: What the client gets

    var isWritable: Bool { unwritten < Self.highWater && connection.isWritable }

    func wantsChanged() { pump() }

    func askForBody() {
        guard request.head.expectsContinue, !request.isWhole, !hasBegun else { return }
        connection.write(id, .headers(.init(headers: [":status": "100"])))
    }

    func answer(_ answer: HTTPAnswer) {
        var out = room.allocator.buffer(capacity: 1024)
        AnswerHead.write(answer, room: room, into: &out)
        out.writeStaticString("\r\n")
        let body = request.head.method == .head || answer.body.isEmpty ? nil : ByteBuffer(bytes: answer.body)
        do throws(HTTP1Failure) {
            begin(try HTTP2Head.response(out), status: answer.status.code, isLast: body == nil)
        } catch {
            // It was written here, so it can be read.
            return cutOff()
        }
        if let body { write(body, isLast: true) }
        end()
    }

    func beginStream(_ answer: HTTPAnswer) {
        var out = room.allocator.buffer(capacity: 1024)
        AnswerHead.writeWithoutLength(answer, room: room, into: &out)
        out.writeStaticString("\r\n")
        do throws(HTTP1Failure) {
            begin(try HTTP2Head.response(out), status: answer.status.code, isLast: false)
        } catch {
            return cutOff()
        }
        request = request.withoutHead()
        connection.expectAcknowledgements()
    }

    var hasUnsent: Bool { unwritten > 0 || held != nil }

    var sharesConnection: Bool { true }

    func sendInterim(_ head: ResponseHead) {
        guard !hasBegun, !hasEnded, let upstream = room.core.upstream else { return }
        let headers = HTTP2Head.response(head, upstream.forwarded, room.core.security, isInterim: true)
        connection.write(id, .headers(.init(headers: headers)))
    }

    func beginResponse(_ head: ResponseHead) {
        guard let upstream = room.core.upstream else { return }
        begin(HTTP2Head.response(head, upstream.forwarded, room.core.security), status: head.status, isLast: false)
    }

    func sendBody(_ data: ByteBuffer) {
        guard !hasEnded else { return }
        if let held { write(held, isLast: false) }
        held = data
    }

    func endResponse() {
        guard !hasEnded else { return }
        write(held ?? ByteBuffer(), isLast: true)
        held = nil
        end()
    }

    func cutOff() {
        guard !hasEnded else { return }
        hasEnded = true
        exchange = nil
        connection.reset(id, .internalError)
    }

    func flush() {
        if let held {
            write(held, isLast: false)
            self.held = nil
        }
        connection.flushSoon()
    }

    private func begin(_ headers: HPACKHeaders, status: Int, isLast: Bool) {
        guard !hasEnded, !hasBegun else { return }
        hasBegun = true
        room.answered(request, status: status)
        connection.write(id, .headers(.init(headers: headers, endStream: isLast)))
    }

    private func write(_ data: ByteBuffer, isLast: Bool) {
        // Nobody waits for what is written last.
        guard !isLast else { return connection.write(id, .data(.init(data: .byteBuffer(data), endStream: true))) }
        let count = data.readableBytes
        unwritten += count
        if unwritten >= Self.highWater, unwritableSince == nil { unwritableSince = room.now }
        let promise = room.loop.makePromise(of: Void.self)
        connection.write(id, .data(.init(data: .byteBuffer(data), endStream: false)), promise)
        promise.futureResult.assumeIsolated().whenComplete { _ in self.wrote(count) }
    }

    private func wrote(_ count: Int) {
        let wasWritable = isWritable
        unwritten -= count
        guard isWritable else { return }
        unwritableSince = nil
        if !wasWritable { exchange?.clientIsWritable() }
    }

    private func end() {
        hasEnded = true
        exchange = nil
        waiting = []
        // The rest of the request is of no interest (RFC 9113 §8.1).
        if !hasInputEnded { connection.reset(id, .noError) }
    }
}
