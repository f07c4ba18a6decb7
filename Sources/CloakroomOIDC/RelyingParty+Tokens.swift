public import Cloakroom
import Logging

import struct Foundation.Data
import struct Foundation.Date

extension RelyingParty {
    /// Gets new tokens with the refresh token of `session` (RFC 6749 §6, OpenID Connect Core §12).
    ///
    /// - Returns: what the provider sent; a token that it did not send anew is `nil` here and stays as it was when the
    ///   session takes these (see `Session.refreshed(with:at:)`).
    /// - Throws: ``OIDCError``. Only `invalidGrant` means that the session can't go on; it is also thrown for a session
    ///   without a refresh token. After `providerUnavailable` the old tokens are the ones to keep.
    public func refresh(_ session: Session) async throws(OIDCError) -> TokenSet {
        guard let refreshToken = session.tokens.refreshToken else {
            throw OIDCError(.invalidGrant, reason: "the session has no refresh token")
        }
        let endpoint = try await metadata.current().value.tokenEndpoint
        let tokens = try await requestTokens(
            from: endpoint, grant: ["grant_type": "refresh_token", "refresh_token": refreshToken])
        guard let encoded = tokens.idToken else { return tokens.tokenSet }
        let token = try SignedToken(encoded)
        let idToken = try IDToken(token, configuration: configuration, now: Date())
        try idToken.checkContinues(session)
        try idToken.checkAccessTokenHash(tokens.accessToken)
        var result = tokens.tokenSet
        do {
            try await checkSignature(of: token)
        } catch  where error.code == .providerUnavailable {
            // The old refresh token may be spent by now, so the new one must not be lost because the keys can't be had.
            // The ID token, which a refresh need not bring, is not kept unverified.
            logger.info("A refreshed ID token was dropped, as the provider's keys can't be had")
            result.idToken = nil
        }
        return result
    }

    /// Asks the token endpoint for a grant, with the client's credentials (OpenID Connect Core §9).
    func requestTokens(from endpoint: String, grant: Parameters) async throws(OIDCError) -> TokenResponse {
        var form = grant
        var authorization: String?
        switch configuration.clientAuthentication {
        case .basic:
            authorization = Self.basicCredentials(
                clientID: configuration.clientID, secret: configuration.clientSecret ?? "")
        case .post:
            form.append("client_id", configuration.clientID)
            form.append("client_secret", configuration.clientSecret ?? "")
        case .none:
            form.append("client_id", configuration.clientID)
        }
        let request = http.request(endpoint, authorization: authorization, form: form)
        let response = try await http.send(
            request, name: "the token endpoint's answer", limit: TokenResponse.largestBody)
        return try TokenResponse(response)
    }

    /// ID and secret for the `Authorization` header; each is form-urlencoded first (RFC 6749 §2.3.1), so that a colon in
    /// the ID or any character in the secret is safe.
    static func basicCredentials(clientID: String, secret: String) -> String {
        "Basic " + Data("\(percentEncoded(clientID)):\(percentEncoded(secret))".utf8).base64EncodedString()
    }

    /// Checks the signature of a token that the token endpoint sent.
    ///
    /// A key that is not in the set at hand may be new: the set is fetched again once, but not at every such token.
    func checkSignature(of token: SignedToken) async throws(OIDCError) {
        let copy = try await keys.current()
        var candidates = copy.value.candidates(keyID: token.keyID, algorithm: token.algorithm)
        if token.isSigned(byOneOf: candidates) { return }
        // Without a key ID a changed key shows as a wrong signature.
        if candidates.isEmpty || token.keyID == nil, let newer = try await keys.newer(than: copy) {
            candidates = newer.value.candidates(keyID: token.keyID, algorithm: token.algorithm)
            if token.isSigned(byOneOf: candidates) { return }
        }
        throw OIDCError(
            .invalidIDToken, reason: candidates.isEmpty ? "no key of the provider fits it" : "its signature is wrong")
    }
}
