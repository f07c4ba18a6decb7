public import Cloakroom
import Logging

import struct Foundation.Date

/// What a refresh brought.
struct RefreshedTokens: Sendable {
    /// What the session is to keep.
    var tokens: TokenSet
    /// Whether the access token among them is new. If not, the provider gave one that can't be used.
    var hasNewAccessToken = true
}

extension RelyingParty {
    /// Gets new tokens with the refresh token of `session` (RFC 6749 §6, OpenID Connect Core §12).
    ///
    /// The old refresh token may be spent as soon as the provider has answered, so a new one is handed over even when the
    /// ID token beside it is no good. Such an ID token is left out: a refresh need not bring one, and the session keeps
    /// the one that it has.
    ///
    /// - Returns: what to store; a token that is `nil` here stays as it was when the session takes these (see
    ///   `Session.refreshed(with:at:)`).
    /// - Throws: `OIDCError`. The session can't go on after `invalidGrant`, which is also thrown for a session without a
    ///   refresh token, and after `identityMismatch`. After any other error the old tokens are the ones to keep.
    public func refresh(_ session: Session) async throws(OIDCError) -> TokenSet {
        try await refreshedTokens(of: session).tokens
    }

    /// The same, and says whether there is a new access token.
    ///
    /// What a bad ID token means for the tokens beside it, which came over the same connection from the same endpoint:
    /// - It says that it is of another login (R23): then so may be the access token, and to use it could show one user the
    ///   data of another. Nothing is handed over, and the session must end, whether or not the signature is right.
    /// - Its `at_hash` is of another access token: then the access token is not for this user as far as anyone can tell.
    ///   It is not used; the old one goes on for the rest of its life.
    /// - It can't be verified (signature, times, form): it says nothing for or against the others, as if it had not been
    ///   sent. They are used.
    func refreshedTokens(of session: Session) async throws(OIDCError) -> RefreshedTokens {
        guard let refreshToken = session.tokens.refreshToken else {
            throw OIDCError(.invalidGrant, reason: "the session has no refresh token")
        }
        let metadata = try await metadata.current().value
        let answer = try await requestTokens(
            metadata, grant: ["grant_type": "refresh_token", "refresh_token": refreshToken])
        var result = RefreshedTokens(tokens: answer.tokenSet)
        guard let encoded = answer.idToken else { return result }
        let idToken: IDToken
        do throws(OIDCError) {
            let token = try SignedToken(encoded)
            try LoginContinuity(session: session, configuration: configuration).check(token.claims)
            try await checkSignature(of: token)
            idToken = try IDToken(token, configuration: configuration, now: Date())
        } catch  where error.code == .identityMismatch {
            throw error
        } catch {
            logger.warning("A refreshed ID token was not kept", metadata: ["error": "\(error)"])
            result.tokens.idToken = nil
            return result
        }
        do {
            try idToken.checkAccessTokenHash(answer.accessToken)
        } catch {
            logger.warning("A refreshed access token was not kept", metadata: ["error": "\(error)"])
            return RefreshedTokens(tokens: Self.keepingAccessToken(of: session, answer), hasNewAccessToken: false)
        }
        return result
    }

    /// The old access token with what is left of its life, and the new refresh token.
    private static func keepingAccessToken(of session: Session, _ answer: TokenResponse) -> TokenSet {
        let left = session.accessTokenExpiresAt.map { Int(max(0, $0.timeIntervalSinceNow)) }
        return TokenSet(
            accessToken: session.tokens.accessToken, refreshToken: answer.refreshToken, expiresIn: left,
            refreshExpiresIn: answer.refreshExpiresIn)
    }
}
