public import HTTPTypes

/// The routes of login and logout.
public enum AuthEndpoint: String, CaseIterable, Sendable {
    /// Sends the browser to the identity provider.
    case login = "/auth/login"
    /// Where the identity provider sends the browser back to.
    case callback = "/auth/callback"
    /// Ends the session here and at the identity provider.
    case logout = "/auth/logout"
    /// The user's claims, never a token.
    case me = "/auth/me"
    /// The public keys with which the identity provider checks what this app has signed.
    case keys = "/auth/jwks.json"

    /// The path.
    public var path: String { rawValue }

    /// The methods that it serves. `HEAD`, which must change nothing (RFC 9110 §9.2.1), is there where `GET` changes nothing.
    public var methods: [HTTPRequest.Method] {
        switch self {
        case .login, .me, .keys: [.get, .head]
        case .callback: [.get]
        case .logout: [.get, .post]
        }
    }

    /// The paths that a login must not return to, as it would go round in circles.
    static let notToReturnTo: Set<String> = [login.path, callback.path, logout.path]
}
