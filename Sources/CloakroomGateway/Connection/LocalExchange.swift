import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import HTTPTypes
import NIOCore

/// A request that the gateway answers itself. Its body is of no interest, but is taken, within bounds, so that the
/// connection can go on.
final class LocalExchange: OwnExchange {
    private let request: GatewayRequest
    private var client: (any ClientStream)?
    private let room: LoopRoom
    private var bytes = 0

    init(_ request: GatewayRequest, client: any ClientStream, room: LoopRoom) {
        self.request = request
        self.client = client
        self.room = room
    }

    func start(_ memory: inout PresentedSession?) {
        // Who waits to be asked for a body is not: there is an answer without it.
        if request.isWhole || request.head.expectsContinue { answer(&memory) }
    }

    var wantsBody: Bool { true }

    func bodyCame(_ data: ByteBuffer) {
        bytes += data.readableBytes
        if bytes > room.core.limits.ownBody {
            end(.json(["error": "body_too_large"], status: .contentTooLarge))
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
        let parts = GatewayResponder.Parts(request)
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
