import Cloakroom

/// The claims about a user that a session keeps.
enum UserClaims {
    static let largestUserInfo = 256 * 1024
    static let mostClaims = 512

    /// What only the protocol needs. An app has no use for it, and it would go stale with the next ID token.
    private static let protocolClaims: Set<String> = [
        "iss", "aud", "exp", "iat", "nbf", "jti", "azp", "nonce", "at_hash", "c_hash", "s_hash", "sid", "typ", "events",
        "session_state",
    ]

    /// What the provider states about the login itself: the signed word counts.
    private static let loginClaims: Set<String> = ["sub", "acr", "amr", "auth_time"]

    /// The claims of the ID token, overlaid with those of the UserInfo endpoint.
    static func merge(_ idToken: IDToken, userInfo: JSONObject?) throws(OIDCError) -> UserInfo {
        var claims: JSONObject = ["sub": .string(idToken.subject)]
        guard idToken.claims.members.count <= mostClaims, userInfo?.members.count ?? 0 <= mostClaims else {
            throw OIDCError(.invalidResponse, reason: "the provider sent more than \(mostClaims) claims")
        }
        for member in idToken.claims.members where !protocolClaims.contains(member.name) {
            claims[member.name] = member.value
        }
        for member in userInfo?.members ?? []
        where !protocolClaims.contains(member.name) && !loginClaims.contains(member.name) {
            claims[member.name] = member.value
        }
        return UserInfo(claims: claims)
    }

    /// Checks an answer of the UserInfo endpoint that is not signed (OpenID Connect Core §5.3.2).
    static func read(_ response: ProviderHTTP.Response, subject: String) throws(OIDCError) -> JSONObject {
        guard response.status == 200 else {
            throw ProviderHTTP.unexpectedStatus(response.status, name: "the UserInfo endpoint")
        }
        guard let claims = response.object else {
            throw OIDCError(.invalidResponse, reason: "the UserInfo endpoint's answer is not a JSON object")
        }
        return try check(claims, subject: subject)
    }

    /// Checks that the claims are those of the user who logs in.
    static func check(_ claims: JSONObject, subject: String) throws(OIDCError) -> JSONObject {
        guard sameBytes(claims["sub"]?.string, subject) else {
            throw OIDCError(.invalidResponse, reason: "the UserInfo endpoint's answer is about another subject")
        }
        return claims
    }
}
