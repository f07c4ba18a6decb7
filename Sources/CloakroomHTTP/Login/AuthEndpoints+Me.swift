package import Cloakroom
import HTTPTypes

extension AuthEndpoints {
    /// `GET /auth/me?peek=1`: who the user is, without that being a use of the session.
    func peek(_ request: SessionRequest, hasDetails: Bool) async throws -> HTTPAnswer {
        guard let store = store as? any SessionPeek else {
            return .problem("not_implemented", status: .notImplemented)
        }
        guard let id = request.session.presentedID,
            let peeked = try await storeCall({ try await store.peek(at: id) })
        else { return await unauthenticated(request) }
        request.session.note(LiveSession(id: id, session: peeked.session))
        return Self.me(peeked, hasDetails: hasDetails)
    }

    /// A session that was just used, and when it ends: in a store that can't tell about idle limits, when it ends at the
    /// latest.
    package func used(_ session: Session) -> PeekedSession {
        (store as? any SessionPeek)?.policy.used(session) ?? PeekedSession(session: session, endsAt: session.expiresAt)
    }

    /// Who the user of a session is, for a request that may know, and how many seconds are left of it.
    package static func me(_ peeked: PeekedSession, hasDetails: Bool = false) -> HTTPAnswer {
        var claims = peeked.session.userInfo.claims
        let seconds = peeked.secondsLeft()
        if hasDetails {
            claims["session"] = .object([
                "expires_in": .number(String(seconds)), "limit": .string(peeked.limit.rawValue),
            ])
        }
        return .json(claims, headers: [.sessionExpiresIn: String(seconds)])
    }
}

extension HTTPField.Name {
    static var sessionExpiresIn: Self { .known("Cloakroom-Session-Expires-In") }
}
