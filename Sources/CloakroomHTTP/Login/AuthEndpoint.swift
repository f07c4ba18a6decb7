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
    /// Where the identity provider's server tells of logouts.
    case backchannelLogout = "/auth/backchannel-logout"
    /// Where the identity provider's logout page tells of logouts, from within the browser.
    case frontchannelLogout = "/auth/frontchannel-logout"

    /// The path.
    public var path: String { rawValue }

    /// The methods that it serves. `HEAD`, which must change nothing (RFC 9110 §9.2.1), is there where `GET` changes nothing.
    public var methods: [HTTPRequest.Method] {
        switch self {
        case .login, .me: [.get, .head]
        case .callback, .frontchannelLogout: [.get]
        case .backchannelLogout: [.post]
        case .logout: [.get, .post]
        }
    }

    /// The largest body that it looks at, in bytes; 0 where bodies are of no interest.
    public var maximumBody: Int { self == .backchannelLogout ? 65_536 : 0 }

    /// The paths that a login must not return to, as it would go round in circles.
    static let notToReturnTo: Set<String> = [
        login.path, callback.path, logout.path, backchannelLogout.path, frontchannelLogout.path,
    ]
}
