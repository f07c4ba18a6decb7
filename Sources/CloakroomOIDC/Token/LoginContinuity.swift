import Cloakroom

/// Says whether an ID token that came with a refresh speaks of the login that the session began with (OpenID Connect Core
/// §12.2).
struct LoginContinuity: Sendable {
    private let issuer: String
    private let clientID: String
    private let subject: String?
    /// The claims of the session's ID token, whose signature was checked when it came.
    private let earlier: JSONObject?

    init(session: Session, configuration: OIDCConfiguration) {
        issuer = configuration.issuer
        clientID = configuration.clientID
        earlier = session.tokens.idToken.flatMap { SignedToken.claims(ofKnown: $0) }
        subject = earlier?["sub"]?.string ?? session.userInfo.subject
    }

    /// - Throws: `identityMismatch` when a claim says otherwise; `invalidIDToken` when one is missing or invalid, or the
    ///   session names no user, so that nothing can be said.
    func check(_ claims: JSONObject) throws(OIDCError) {
        guard let issuer = claims["iss"]?.string else { throw IDToken.invalid("its issuer is missing or invalid") }
        guard sameBytes(issuer, self.issuer) else { throw Self.mismatch("its issuer is another") }
        if let before = earlier?["iss"]?.string, !sameBytes(before, issuer) {
            throw Self.mismatch("its issuer is not that of the session")
        }
        let audiences = try IDToken.audiences(of: claims)
        guard audiences.containsBytes(of: clientID) else { throw Self.mismatch("it is not for this client") }
        if let earlier {
            let before = try IDToken.audiences(of: earlier)
            guard before.allSatisfy({ audiences.containsBytes(of: $0) }) else {
                throw Self.mismatch("its audience is not that of the session")
            }
        }
        if let party = claims["azp"]?.string, !sameBytes(party, clientID) {
            throw Self.mismatch("its authorized party is not this client")
        }
        guard let subject = claims["sub"]?.string else { throw IDToken.invalid("its subject is missing or invalid") }
        guard let before = self.subject else {
            throw IDToken.invalid("the session names no subject to compare it with")
        }
        guard sameBytes(subject, before) else { throw Self.mismatch("it is about another subject than the session") }
        // It need not be there; where it is, it must be that of the login.
        if let before = earlier?["nonce"]?.string, let nonce = claims["nonce"] {
            guard let nonce = nonce.string, constantTimeEquals(nonce, before) else {
                throw Self.mismatch("its nonce is not that of the session")
            }
        }
    }

    private static func mismatch(_ reason: String) -> OIDCError { OIDCError(.identityMismatch, reason: reason) }
}
