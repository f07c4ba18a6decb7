public import Cloakroom

import struct Foundation.Date

extension RelyingParty {
    /// No provider's code is nearly as long.
    static let longestCode = 4096

    /// Ends a login: checks the callback, redeems the code, verifies the ID token, fetches UserInfo.
    ///
    /// Take `pending` out of its store before you call this, so that a callback works once.
    ///
    /// - Parameters:
    ///   - response: the parameters of the callback.
    ///   - pending: what ``beginLogin()`` returned for the same browser.
    /// - Throws: `OIDCError`. Nothing is sent to the provider before state and issuer were found right.
    public func finishLogin(
        _ response: AuthorizationResponse, pending: PendingLogin
    ) async throws(OIDCError) -> LoginResult {
        guard let state = response.state, !pending.state.isEmpty, constantTimeEquals(state, pending.state) else {
            throw OIDCError(.invalidCallback, reason: "the state is not the one that was sent")
        }
        let metadata = try await metadata.current().value
        try checkIssuer(of: response, isRequired: metadata.sendsIssuerInResponse)
        if let error = response.error {
            throw OIDCError(.loginRefused, reason: "the provider answered \(safeErrorCode(error))")
        }
        guard let code = response.code, (1...Self.longestCode).contains(code.utf8.count) else {
            throw OIDCError(.invalidCallback, reason: "the code is missing or invalid")
        }
        let tokens = try await requestTokens(
            metadata,
            grant: [
                "grant_type": "authorization_code", "code": code, "redirect_uri": configuration.redirectURI,
                "code_verifier": pending.codeVerifier,
            ])
        guard let encoded = tokens.idToken else {
            throw OIDCError(.invalidResponse, reason: "the token endpoint's answer lacks id_token")
        }
        let token = try SignedToken(encoded)
        try await checkSignature(of: token)
        let idToken = try IDToken(token, configuration: configuration, now: Date())
        try idToken.checkNonce(pending.nonce)
        try idToken.checkAccessTokenHash(tokens.accessToken)
        let userInfo = try await userInfo(metadata, tokens: tokens, subject: idToken.subject)
        return LoginResult(
            tokens: tokens.tokenSet, userInfo: try UserClaims.merge(idToken, userInfo: userInfo),
            issuer: configuration.issuer, providerSessionID: idToken.sessionID)
    }

    /// RFC 9207 §2.4: who answers is compared to the letter, on errors too, so that one provider's answer is never taken
    /// for another's.
    private func checkIssuer(of response: AuthorizationResponse, isRequired: Bool) throws(OIDCError) {
        guard sameBytes(response.issuer ?? (isRequired ? nil : configuration.issuer), configuration.issuer) else {
            throw OIDCError(.invalidCallback, reason: "the answer is not from the configured issuer")
        }
    }
}
