public import AsyncHTTPClient
public import Cloakroom
public import Logging

/// The OpenID Connect relying party: authorization code flow with PKCE.
public final class RelyingParty: Sendable {
    /// Makes a relying party. Nothing is fetched until it is needed.
    public init(configuration: OIDCConfiguration, httpClient: HTTPClient, logger: Logger) {}

    /// Begins a login: fresh state, nonce and PKCE verifier, and the address to send the browser to.
    public func beginLogin() async throws(OIDCError) -> LoginRequest {
        throw OIDCError(.providerUnavailable, reason: "")
    }

    /// Ends a login: checks the callback, redeems the code, verifies the ID token, fetches UserInfo.
    public func finishLogin(
        _ response: AuthorizationResponse, pending: PendingLogin
    ) async throws(OIDCError) -> LoginResult { throw OIDCError(.providerUnavailable, reason: "") }

    /// Gets new tokens with the refresh token of `session`.
    public func refresh(_ session: Session) async throws(OIDCError) -> TokenSet {
        throw OIDCError(.providerUnavailable, reason: "")
    }

    /// Where to send the browser so that the provider ends its session too; `nil` if it has no such address.
    public func logoutURL(idToken: String?, state: String?) async throws(OIDCError) -> String? { nil }

    /// Fetches discovery and keys, as a readiness check would.
    public func warmUp() async throws(OIDCError) {}
}
