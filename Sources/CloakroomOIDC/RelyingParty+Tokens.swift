import Cloakroom

import struct Foundation.Data

extension RelyingParty {
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
            request, .token, limit: TokenResponse.largestBody)
        return try TokenResponse(response)
    }

    /// ID and secret for the `Authorization` header; each is form-urlencoded first (RFC 6749 §2.3.1), so that a colon in
    /// the ID or any character in the secret is safe.
    static func basicCredentials(clientID: String, secret: String) -> String {
        "Basic " + Data("\(PercentCoding.encode(clientID)):\(PercentCoding.encode(secret))".utf8).base64EncodedString()
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
