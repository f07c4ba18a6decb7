import HTTPTypes
import Hummingbird

extension Provider {
    /// The token endpoint (RFC 6749 §3.2).
    func token(_ request: Request) async throws -> Response {
        let form = try await form(request)
        var response: Response
        do {
            response = try .json(try await tokens(request, form: form))
        } catch let error as TokenError {
            response = try error.response()
        }
        response.headers[.cacheControl] = "no-store"
        return response
    }

    private func tokens(_ request: Request, form: FormParameters?) async throws -> TokenResponse {
        guard let form, form.repeated.isEmpty else {
            throw TokenError("invalid_request", "The body is not a form, or a parameter came more than once")
        }
        let client = try ClientAuthentication.client(request, form: form, clients: configuration.clients)
        switch form["grant_type"] {
        case "authorization_code": return try await codeGrant(form, client: client)
        case "refresh_token": return try await refreshGrant(form, client: client)
        case nil: throw TokenError("invalid_request", "grant_type is missing")
        default: throw TokenError("unsupported_grant_type", "Only authorization_code and refresh_token are supported")
        }
    }

    private func codeGrant(_ form: FormParameters, client: DevIdentityProvider.Client) async throws -> TokenResponse {
        guard let code = form["code"], let redirectURI = form["redirect_uri"], let verifier = form["code_verifier"]
        else {
            throw TokenError("invalid_request", "code, redirect_uri and code_verifier are required")
        }
        guard PKCE.isVerifier(verifier) else {
            throw TokenError("invalid_request", "The code_verifier is not 43 to 128 unreserved characters")
        }
        guard
            let redemption = state.redeem(
                code: code, clientID: client.id, redirectURI: redirectURI, verifier: verifier),
            let user = user(redemption.grant.session.username)
        else { throw TokenError.invalidGrant }
        return try await mint.tokens(for: redemption, user: user, scope: redemption.grant.scope)
    }

    private func refreshGrant(
        _ form: FormParameters, client: DevIdentityProvider.Client
    ) async throws -> TokenResponse {
        guard let refreshToken = form["refresh_token"] else {
            throw TokenError("invalid_request", "refresh_token is missing")
        }
        let scope = form["scope"].map(Scope.init)
        switch state.rotate(refreshToken: refreshToken, clientID: client.id, scope: scope) {
        case .rotated(let redemption):
            guard let user = user(redemption.grant.session.username) else { throw TokenError.invalidGrant }
            return try await mint.tokens(for: redemption, user: user, scope: scope ?? redemption.grant.scope)
        case .scopeNotGranted:
            throw TokenError("invalid_scope", "The scope is more than what was granted, or lacks openid")
        case .invalid:
            throw TokenError.invalidGrant
        }
    }
}
