/// Which logout tokens are accepted.
public enum LogoutTokenTypes: String, Sendable, CaseIterable {
    /// As OpenID Connect Back-Channel Logout 1.0 has it: the type is `logout+jwt`, and the token says when it expires.
    case strict
    /// The type `JWT`, or none, will do, and without `exp` a token is good for two minutes after its `iat`: what Keycloak
    /// before version 24 and some other providers send. All else is checked as ever; `events` and the missing `nonce`
    /// tell a logout token from an ID token.
    case lenient
}
