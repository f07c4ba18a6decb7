import HTTPTypes
import Hummingbird

extension Provider {
    /// UserInfo (OpenID Connect Core §5.3), for the bearer of an access token (RFC 6750).
    func userInfo(_ request: Request) async throws -> Response {
        guard let token = try await bearerToken(request) else {
            // Without a token the challenge names no error (RFC 6750 §3.1).
            return challenge("Bearer realm=\"userinfo\"")
        }
        guard let claims = await mint.readAccessToken(token), state.grantStands(claims.grantID),
            let user = configuration.users.first(where: { $0.subject == claims.sub })
        else {
            return challenge(
                "Bearer realm=\"userinfo\", error=\"invalid_token\", error_description=\"Unknown, expired or revoked\"")
        }
        return try .json(
            WithProfile(SubjectClaim(sub: user.subject), ProfileClaims(user: user, scope: Scope(claims.scope))))
    }

    /// From the header, or from the form of a POST (RFC 6750 §2.1, §2.2).
    private func bearerToken(_ request: Request) async throws -> String? {
        if let header = request.headers[.authorization] {
            let parts = header.split(separator: " ", maxSplits: 1)
            return parts.count == 2 && parts[0].lowercased() == "bearer" ? String(parts[1]) : nil
        }
        guard request.method == .post, let form = try await form(request), form.repeated.isEmpty else { return nil }
        return form["access_token"]
    }

    private func challenge(_ value: String) -> Response {
        Response(status: .unauthorized, headers: [.wwwAuthenticate: value])
    }
}
