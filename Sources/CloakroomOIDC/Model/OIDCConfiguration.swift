public import NIOSSL

/// What the relying party needs to know of its provider and itself.
///
/// Its `description` and reflection do not show the client secret.
public struct OIDCConfiguration: Sendable {
    /// How the client proves to the token endpoint who it is (OpenID Connect Core §9).
    public enum ClientAuthentication: String, Sendable {
        /// ID and secret in the `Authorization` header, each form-urlencoded (RFC 6749 §2.3.1).
        case basic
        /// ID and secret in the body of the request.
        case post
        /// A JWT that is signed here, with the first of ``ClientCredentials/Values/keys`` (RFC 7523).
        case privateKeyJWT = "private_key_jwt"
        /// A JWT that somebody else has signed: ``ClientCredentials/Values/assertion`` (RFC 7523).
        case assertion
        /// The certificate of the connection: ``ClientCredentials/Values/certificate`` (RFC 8705).
        case tls
        /// The ID alone: a public client, which PKCE protects.
        case none
    }

    /// Whether authorization requests go to the provider before the browser does (PAR, RFC 9126), so that no browser sees or
    /// changes them.
    public enum PushedAuthorization: String, Sendable, CaseIterable {
        /// If the provider's metadata offers it.
        case auto
        /// Always: no login can begin if the metadata does not offer it.
        case on
        /// Never: no login can begin if the metadata requires it.
        case off
    }

    /// Whom a JWT that is signed here is for (`aud`).
    public enum AssertionAudience: String, Sendable, CaseIterable {
        /// The address of the token endpoint.
        case tokenEndpoint = "token_endpoint"
        /// The provider's issuer. The better choice where one key serves several providers: none of them can use an
        /// assertion at another then.
        case issuer
    }

    /// The provider's issuer, to the letter as its metadata and ID tokens have it, such as
    /// `https://login.example.com/realms/main`.
    ///
    /// An `http` issuer is for development inside one machine or cluster: it allows `http` endpoints, and a warning
    /// says so.
    public var issuer: String
    /// The ID under which the provider knows this client.
    public var clientID: String
    /// The client's secret; `nil` for a public client.
    public var clientSecret: String?
    /// How the client authenticates at the token endpoint.
    public var clientAuthentication: ClientAuthentication
    /// What the client authenticates with, unless ``clientSecret`` is all; it can be replaced at any time.
    public var credentials: ClientCredentials?
    /// Whom assertions for `private_key_jwt` are for.
    public var assertionAudience = AssertionAudience.tokenEndpoint
    /// Whether authorization requests are pushed.
    public var pushedAuthorization = PushedAuthorization.auto
    /// How connections to the provider are encrypted, and whom they trust; `nil` for what the HTTP client does.
    public var tlsConfiguration: TLSConfiguration?
    /// The scopes to ask for; `openid` is added where it is missing.
    public var scopes: [String]
    /// Where the provider sends the browser back to after the login, as registered there.
    public var redirectURI: String
    /// Where the provider sends the browser back to after the logout, as registered there; `nil` leaves it out.
    public var postLogoutRedirectURI: String?
    /// Where to fetch the discovery document if not below the issuer.
    ///
    /// For a provider that browsers reach under its public issuer and this program under an internal address. The
    /// document's issuer must still be ``issuer``; its endpoints are used as they stand, and those on the host of this
    /// URL may use `http` if it does.
    public var discoveryURL: String?
    /// Which logout tokens are accepted.
    public var logoutTokenTypes: LogoutTokenTypes = .strict
    /// How long one request to the provider may take, from the look-up of its address to the last byte of the answer.
    public var requestTimeout: Duration = .seconds(10)
    /// By how much the provider's clock may differ from ours when the times in an ID token are judged.
    public var clockSkew: Duration = .seconds(60)

    /// Makes a configuration. The client's authentication is by default `basic` with a secret and `none` without.
    public init(
        issuer: String, clientID: String, clientSecret: String?, clientAuthentication: ClientAuthentication? = nil,
        scopes: [String] = ["openid", "profile", "email"], redirectURI: String, postLogoutRedirectURI: String? = nil,
        discoveryURL: String? = nil
    ) {
        self.issuer = issuer
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.clientAuthentication = clientAuthentication ?? (clientSecret == nil ? .none : .basic)
        self.scopes = scopes
        self.redirectURI = redirectURI
        self.postLogoutRedirectURI = postLogoutRedirectURI
        self.discoveryURL = discoveryURL
    }

    /// The scopes as one parameter, with `openid` among them (OpenID Connect Core §3.1.2.1).
    var scopeParameter: String {
        (scopes.contains("openid") ? scopes : ["openid"] + scopes).joined(separator: " ")
    }

    /// Where the discovery document is (OpenID Connect Discovery §4.1).
    var metadataURL: String {
        if let discoveryURL { return discoveryURL }
        return (issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer) + "/.well-known/openid-configuration"
    }
}

extension OIDCConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The issuer and the client's ID.
    public var description: String { "OIDCConfiguration(issuer: \(issuer), clientID: \(clientID))" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// Shows what ``description`` shows.
    public var customMirror: Mirror { Mirror(self, children: ["issuer": issuer, "clientID": clientID]) }
}
