import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import Foundation
import HTTPTypes
import NIOCore

/// `GET /auth/events`: tells a page what happens to its session (server-sent events, WHATWG HTML §9.2).
///
/// A stream has no task and no buffer of its own. What it has to say is kept as one bit for each kind of event until its
/// client has taken what was said before, so a client that does not read holds no more than the last event, and is cut off
/// after `SEND_TIMEOUT`.
final class LiveExchange: OwnExchange {
    /// How long a stream is silent before a comment shows that it is there, to proxies too.
    private static let keepAlive = TimeAmount.seconds(20)

    private enum State {
        /// The request is read.
        case reading
        /// Its session is looked for.
        case looking
        case open
        case over
    }

    private let room: LoopRoom
    private var client: (any ClientStream)?
    /// Until the stream is open: nothing of it is needed later.
    private var request: GatewayRequest?
    private var session: StreamedSession?
    private var state = State.reading
    private var bodyBytes = 0
    private var due: LiveEvent.Kinds = []
    /// The end that the page was warned of.
    private var toldEnd: Date?
    private var lastWrite = NIODeadline.uptimeNanoseconds(0)
    /// The client may not have taken all that was said.
    private var isUnconfirmed = false
    private var stuckSince: NIODeadline?
    /// The stream shares a connection, and counts as one more of this address.
    private var isCounted = false
    private var countedAddress: String?

    init(_ request: GatewayRequest, client: any ClientStream, room: LoopRoom) {
        self.request = request
        self.client = client
        self.room = room
    }

    // MARK: The request

    func start(_ memory: inout PresentedSession?) {
        guard let request else { return }
        if request.isWhole || request.head.expectsContinue { look(&memory) }
    }

    var wantsBody: Bool { true }

    func bodyCame(_ data: ByteBuffer) {
        bodyBytes += data.readableBytes
        guard bodyBytes > room.core.limits.ownBody else { return }
        // Who did not wait to be asked for the body may have a stream already.
        if state == .open {
            leave()?.cutOff()
        } else {
            refuse(.problem("body_too_large", status: .contentTooLarge))
        }
    }

    func bodyEnded() {
        var memory: PresentedSession?
        look(&memory)
    }

    private func look(_ memory: inout PresentedSession?) {
        guard state == .reading, let request, let client else { return }
        let core = room.core
        guard request.head.method == .get else { return refuse(.methodNotAllowed(GatewayRoute.events.methods)) }
        guard core.live.store != nil else { return refuse(.notImplemented) }
        if let refusal = core.admission.guardBytes.refusal(of: request.head, needsField: false) {
            core.live.events.emit(SessionEvent(.denied(reason: refusal.rawValue), origin: request.origin))
            return refuse(.refused(refusal))
        }
        guard let presented = core.admission.presented(request.head, &memory) else { return refuse(.unauthenticated) }
        request.handle = presented.handle
        guard !room.isDraining else { return refuse(Self.later(.serviceUnavailable, "shutting_down")) }
        if client.sharesConnection {
            // A stream holds as much as a connection does.
            if let limit = core.connections.add(request.address.text) {
                room.metrics.refused(limit)
                return refuse(Self.later(.serviceUnavailable, "too_many_connections"))
            }
            isCounted = true
            countedAddress = request.address.text
        }
        guard let session = room.live.add(self, of: presented) else {
            room.metrics.refused(.eventsPerSession)
            return refuse(Self.later(.tooManyRequests, "too_many_event_streams"))
        }
        self.session = session
        state = .looking
        room.live.look(at: session)
    }

    private static func later(_ status: HTTPResponse.Status, _ error: String) -> HTTPAnswer {
        .problem(error, status: status, headers: [.retryAfter: FailureAnswers.retryAfter])
    }

    /// Answers without a stream.
    private func refuse(_ answer: HTTPAnswer) {
        let client = leave()
        client?.answer(answer)
        client?.flush()
    }

    // MARK: What is known of the session

    /// The session lives.
    ///
    /// - Parameter isRefreshed: whether it has other tokens than when it was last looked at.
    func found(_ facts: StreamedSession.Facts, isRefreshed: Bool) {
        switch state {
        case .looking: open(facts)
        case .open: if isRefreshed { due.insert(.refreshed) }
        case .reading, .over: return
        }
        if !facts.isEndNear() {
            toldEnd = nil
        } else if toldEnd.map({ facts.endsAt > $0 + 1 }) ?? true {
            toldEnd = facts.endsAt
            due.insert(.expiring)
        }
        sendWhatIsDue(.now())
    }

    /// Nobody knows whether the session lives.
    func couldNotLook(_ error: any Error) {
        guard state == .looking, let request else { return }
        refuse(room.core.responder.answer(to: error, request))
    }

    func sessionEnded(_ reason: SessionEndReason) {
        switch state {
        case .looking: refuse(reason == .elsewhere ? .unauthenticated : .unauthenticated(because: reason))
        case .open:
            // Whatever else is due: this is the last.
            let client = leave()
            var text = room.allocator.buffer(capacity: 64)
            LiveEvent.writeLogout(reason, into: &text)
            client?.sendBody(text)
            client?.endResponse()
            client?.flush()
        case .reading, .over: break
        }
    }

    // MARK: The stream

    private func open(_ facts: StreamedSession.Facts) {
        guard let client else { return }
        state = .open
        due = [.hello]
        client.beginStream(LiveEvent.head)
        request = nil
    }

    private func sendWhatIsDue(_ now: NIODeadline) {
        guard state == .open, !due.isEmpty, let client, let facts = session?.facts, !isStuck(client, now) else {
            return
        }
        var text = room.allocator.buffer(capacity: 128)
        LiveEvent.write(due, facts, into: &text)
        due = []
        lastWrite = now
        isUnconfirmed = true
        client.sendBody(text)
        client.flush()
    }

    /// Whether the client has not taken what was said before.
    private func isStuck(_ client: any ClientStream, _ now: NIODeadline) -> Bool {
        guard isUnconfirmed else { return false }
        isUnconfirmed = client.hasUnsent
        stuckSince = isUnconfirmed ? stuckSince ?? now : nil
        return isUnconfirmed
    }

    func tick(_ now: NIODeadline) {
        guard state == .open, let client else { return }
        if isStuck(client, now) {
            if let stuckSince, now - stuckSince >= room.core.limits.send { leave()?.cutOff() }
            return
        }
        if now - lastWrite >= Self.keepAlive { due.insert(.keepAlive) }
        sendWhatIsDue(now)
    }

    func clientIsWritable() {}

    func flush() {}

    // MARK: The end

    func clientIsGone() { _ = leave() }

    /// The gateway stops: the browser connects to another replica.
    func drain() {
        switch state {
        case .open:
            let client = leave()
            client?.endResponse()
            client?.flush()
        case .looking: refuse(Self.later(.serviceUnavailable, "shutting_down"))
        case .reading, .over: break
        }
    }

    /// Gives up all that the stream holds.
    ///
    /// - Returns: the client, which may be told one last thing.
    @discardableResult
    private func leave() -> (any ClientStream)? {
        state = .over
        request = nil
        if let session { room.live.remove(self, from: session) }
        session = nil
        if isCounted { room.core.connections.remove(countedAddress) }
        isCounted = false
        let client = client
        self.client = nil
        return client
    }
}

extension HTTPAnswer {
    /// 501 in JSON: the store can't show a session without using it.
    static var notImplemented: HTTPAnswer { .problem("not_implemented", status: .notImplemented) }
}
