import Hummingbird

extension Provider {
    /// The provider's metadata (OpenID Connect Discovery §3, RFC 9207 §3).
    private struct Metadata: Encodable {
        let issuer: String
        let authorization_endpoint: String
        let token_endpoint: String
        let userinfo_endpoint: String
        let jwks_uri: String
        let end_session_endpoint: String
        let scopes_supported = Scope.supported
        let response_types_supported = ["code"]
        let response_modes_supported = ["query"]
        let grant_types_supported = ["authorization_code", "refresh_token"]
        let subject_types_supported = ["public"]
        let id_token_signing_alg_values_supported = ["RS256"]
        let token_endpoint_auth_methods_supported = ["client_secret_basic", "client_secret_post", "none"]
        let code_challenge_methods_supported = ["S256"]
        let prompt_values_supported = ["none", "login", "consent", "select_account"]
        let claims_supported = [
            "iss", "sub", "aud", "azp", "exp", "iat", "auth_time", "nonce", "sid", "at_hash", "name",
            "preferred_username", "given_name", "family_name", "email", "email_verified",
        ]
        let authorization_response_iss_parameter_supported = true
        let backchannel_logout_supported = true
        let backchannel_logout_session_supported = true
        let claims_parameter_supported = false
        let request_parameter_supported = false
        let request_uri_parameter_supported = false

        init(issuer: String) {
            self.issuer = issuer
            let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
            authorization_endpoint = base + "/authorize"
            token_endpoint = base + "/token"
            userinfo_endpoint = base + "/userinfo"
            jwks_uri = base + "/jwks"
            end_session_endpoint = base + "/end_session"
        }
    }

    func discovery() throws -> Response {
        try .json(Metadata(issuer: issuer))
    }
}
