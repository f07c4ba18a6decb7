import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import HTTPTypes
import NIOCore

/// A request that the gateway answers itself. Its body is taken, within bounds, so that the connection can go on, and kept
/// for the few routes that look at it.
final class LocalExchange: OwnExchange {
    private let request: GatewayRequest
    private var client: (any ClientStream)?
    private let room: LoopRoom
    private var bytes = 0
    private var body: [UInt8] = []
    /// How much of the body is kept.
    private let kept: Int

    init(_ request: GatewayRequest, client: any ClientStream, room: LoopRoom) {
        self.request = request
        self.client = client
        self.room = room
        kept = request.route?.maximumBody ?? 0
    }

    func start(_ memory: inout PresentedSession?) {
        if request.isWhole { return answer(&memory) }
        guard request.head.expectsContinue else { return }
        // Who waits to be asked for a body is asked only where there is no answer without it.
        guard kept > 0 else { return answer(&memory) }
        client?.askForBody()
        client?.flush()
    }

    var wantsBody: Bool { true }

    func bodyCame(_ data: ByteBuffer) {
        bytes += data.readableBytes
        if kept > 0, bytes <= kept { body.append(contentsOf: data.readableBytesView) }
        if bytes > (kept > 0 ? kept : room.core.limits.ownBody) {
            end(.problem("body_too_large", status: .contentTooLarge))
        }
    }

    func bodyEnded() {
        guard client != nil else { return }
        var memory: PresentedSession?
        answer(&memory)
    }

    func clientIsWritable() {}

    func clientIsGone() { client = nil }

    func flush() {}

    func tick(_ now: NIODeadline) {}

    private func answer(_ memory: inout PresentedSession?) {
        let core = room.core
        if let answer = core.responder.answerNow(request) ?? userNow(&memory) { return end(answer) }
        let parts = GatewayResponder.Parts(request, body: body)
        room.run {
            await core.responder.respond(parts)
        } then: { result in
            self.request.handle = result.handle
            let client = self.client
            self.end(result.answer)
            client?.flush()
        }
    }

    /// The answer of `/auth/me` for a session that is at hand: pages ask for it all the time.
    private func userNow(_ memory: inout PresentedSession?) -> HTTPAnswer? {
        let admission = room.core.admission
        guard request.route == .auth(.me), request.head.method == .get || request.head.method == .head,
            !request.hasQuery,
            admission.guardBytes.refusal(of: request.head, needsField: false) == nil,
            let presented = admission.presented(request.head, &memory),
            let session = admission.near?.nearSession(for: presented.id)
        else { return nil }
        request.handle = presented.handle
        return AuthEndpoints.me(room.core.live.used(session))
    }

    private func end(_ answer: HTTPAnswer) {
        let client = client
        self.client = nil
        client?.answer(answer)
    }
}
