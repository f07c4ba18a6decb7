public import Cloakroom

/// What the relying party needs to know of its provider and itself.
public struct OIDCConfiguration: Sendable {
    public enum ClientAuthentication: String, Sendable { case basic, post, none }
    public var issuer: String
    public var clientID: String
    public var clientSecret: String?
    public var clientAuthentication: ClientAuthentication
    public var scopes: [String]
    public var redirectURI: String
    public var postLogoutRedirectURI: String?
    /// Where to fetch the discovery document if not below the issuer.
    public var discoveryURL: String?

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
}

/// The secrets of a login under way; they belong on the server.
public struct PendingLogin: Sendable {
    public let state: String
    public let nonce: String
    public let codeVerifier: String
    public init(state: String, nonce: String, codeVerifier: String) {
        self.state = state
        self.nonce = nonce
        self.codeVerifier = codeVerifier
    }
}

/// A login that can begin.
public struct LoginRequest: Sendable {
    public let authorizationURL: String
    public let pending: PendingLogin
    public init(authorizationURL: String, pending: PendingLogin) {
        self.authorizationURL = authorizationURL
        self.pending = pending
    }
}

/// The query parameters with which the provider sent the browser back. A parameter that stood there twice is an error.
public struct AuthorizationResponse: Sendable {
    public var code: String?
    public var state: String?
    public var issuer: String?
    public var error: String?
    public init(code: String? = nil, state: String? = nil, issuer: String? = nil, error: String? = nil) {
        self.code = code
        self.state = state
        self.issuer = issuer
        self.error = error
    }
}

/// Who logged in.
public struct LoginResult: Sendable {
    public let tokens: TokenSet
    public let userInfo: UserInfo
    /// The provider's session (`sid`), if it names one.
    public let providerSessionID: String?
    public init(tokens: TokenSet, userInfo: UserInfo, providerSessionID: String?) {
        self.tokens = tokens
        self.userInfo = userInfo
        self.providerSessionID = providerSessionID
    }
}

/// What went wrong between us and the provider. Holds no secret.
public struct OIDCError: Error, Sendable, Equatable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String
        /// The provider can't be reached, timed out, or answered 5xx: try again later.
        public static let providerUnavailable = Code(description: "provider unavailable")
        /// The provider's metadata or answer is not what the standards say.
        public static let invalidResponse = Code(description: "invalid response")
        /// The callback is not one that we asked for.
        public static let invalidCallback = Code(description: "invalid callback")
        /// The provider refused the login, for instance because the user cancelled it.
        public static let loginRefused = Code(description: "login refused")
        /// The ID token failed verification.
        public static let invalidIDToken = Code(description: "invalid ID token")
        /// The code or refresh token is not valid (any more).
        public static let invalidGrant = Code(description: "invalid grant")
        /// The provider refuses our credentials.
        public static let clientRejected = Code(description: "client rejected")
    }
    public let code: Code
    public let reason: String
    public init(_ code: Code, reason: String) {
        self.code = code
        self.reason = reason
    }
    public var description: String { "\(code): \(reason)" }
}
