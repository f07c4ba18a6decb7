public import CloakroomOIDC

/// What this app shows the provider in place of a secret, and how it talks to it.
public struct ClientSettings: Sendable, Equatable {
    /// The private keys that sign assertions, in PEM (`OIDC_CLIENT_KEY_FILE`): the first signs, all are published.
    public var keyFile: String?
    /// Whom these assertions are for (`OIDC_CLIENT_ASSERTION_AUDIENCE`).
    public var assertionAudience = OIDCConfiguration.AssertionAudience.tokenEndpoint
    /// An assertion that somebody else has signed, such as a Kubernetes token (`OIDC_CLIENT_ASSERTION_FILE`).
    public var assertionFile: String?
    /// The client certificate and those that issued it, in PEM (`OIDC_CLIENT_CERT_FILE`).
    public var certificateFile: String?
    /// Its private key, in PEM (`OIDC_CLIENT_CERT_KEY_FILE`).
    public var certificateKeyFile: String?
    /// The certificate authorities to trust for the provider, in PEM (`OIDC_CA_FILE`); `nil` for the system's.
    public var authoritiesFile: String?
    /// Whether authorization requests are pushed (`OIDC_PAR`).
    public var pushedAuthorization = OIDCConfiguration.PushedAuthorization.auto

    /// The defaults.
    public init() {}
}
