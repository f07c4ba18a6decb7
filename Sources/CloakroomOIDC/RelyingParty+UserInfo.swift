import Cloakroom

import struct Foundation.Date

extension RelyingParty {
    /// Asks the UserInfo endpoint, if there is one, who the user is (OpenID Connect Core §5.3).
    func userInfo(
        _ metadata: ProviderMetadata, tokens: TokenResponse, subject: String
    ) async throws(OIDCError) -> JSONObject? {
        guard let endpoint = metadata.userInfo else { return nil }
        var request = http.request(endpoint.url, authorization: "Bearer \(tokens.accessToken)")
        try show(configuration.credentials?.current.certificate, in: &request, endpoint)
        let response = try await http.send(request, .userinfo, limit: UserClaims.largestUserInfo)
        guard response.status == 200, response.mediaType == "application/jwt" else {
            return try UserClaims.read(response, subject: subject)
        }
        return try UserClaims.check(try await signedClaims(response.body), subject: subject)
    }

    /// The claims of an answer that is a signed JWT (OpenID Connect Core §5.3.2).
    private func signedClaims(_ body: [UInt8]) async throws(OIDCError) -> JSONObject {
        do throws(OIDCError) {
            let token = try SignedToken(String(decoding: body, as: UTF8.self))
            try await checkSignature(of: token)
            guard sameBytes(token.claims["iss"]?.string, configuration.issuer) else {
                throw IDToken.invalid("its issuer is missing or another")
            }
            guard try IDToken.audiences(of: token.claims).containsBytes(of: configuration.clientID) else {
                throw IDToken.invalid("it is not for this client")
            }
            if let end = token.claims["exp"]?.double,
                Date().timeIntervalSince1970 >= end + configuration.clockSkew.inSeconds
            {
                throw IDToken.invalid("it has expired")
            }
            return token.claims
        } catch {
            // What was said of an ID token holds for this one.
            guard error.code == .invalidIDToken else { throw error }
            throw OIDCError(
                .invalidResponse, reason: "the UserInfo endpoint's answer is a JWT and can't be used: \(error.reason)")
        }
    }
}
