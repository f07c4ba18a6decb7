public import Cloakroom
public import HTTPTypes

/// The routes of login and logout, and of a user's own sessions.
public enum AuthEndpoint: String, CaseIterable, Sendable {
    /// Sends the browser to the identity provider.
    case login = "/auth/login"
    /// Where the identity provider sends the browser back to.
    case callback = "/auth/callback"
    /// Ends the session here and at the identity provider.
    case logout = "/auth/logout"
    /// The user's claims, never a token.
    case me = "/auth/me"
    /// The user's own sessions.
    case sessions = "/auth/sessions"
    /// One of the user's own sessions.
    case session = "/auth/sessions/{handle}"
    /// Ends all of the user's sessions, here and at the identity provider.
    case logoutEverywhere = "/auth/logout-everywhere"
    /// Where the identity provider's server tells of logouts.
    case backchannelLogout = "/auth/backchannel-logout"
    /// Where the identity provider's logout page tells of logouts, from within the browser.
    case frontchannelLogout = "/auth/frontchannel-logout"
    /// The public keys with which the identity provider checks what this app has signed.
    case keys = "/auth/jwks.json"

    /// Finds the endpoint of a request's path, without its query.
    public init?(path: some StringProtocol) {
        if let endpoint = AuthEndpoint(rawValue: String(path)) {
            self = endpoint
            return
        }
        let sessions = Self.sessions.rawValue + "/"
        guard path.hasPrefix(sessions), !path.dropFirst(sessions.count).contains("/") else { return nil }
        self = .session
    }

    /// The path; of ``session`` with `{handle}` in the place of a session's handle.
    public var path: String { rawValue }

    /// The path at which the session with this handle can be ended.
    public static func path(ofSession handle: SessionHandle) -> String { "\(sessions.rawValue)/\(handle)" }

    /// The methods that it serves. `HEAD`, which must change nothing (RFC 9110 §9.2.1), is there where `GET` changes nothing.
    public var methods: [HTTPRequest.Method] {
        switch self {
        case .login, .me, .keys: [.get, .head]
        case .callback, .frontchannelLogout: [.get]
        case .backchannelLogout: [.post]
        case .logout: [.get, .post]
        case .sessions: [.get, .head, .post, .delete]
        case .session: [.post, .delete]
        case .logoutEverywhere: [.post]
        }
    }

    /// The largest body that it looks at, in bytes; 0 where bodies are of no interest.
    public var maximumBody: Int { self == .backchannelLogout ? 65_536 : 0 }

    /// Whether a login must not return to a path: it would go round in circles, or come to one that takes no `GET`.
    static func isNotToReturnTo(_ path: some StringProtocol) -> Bool {
        switch AuthEndpoint(path: path) {
        case .login, .callback, .logout, .logoutEverywhere, .session, .backchannelLogout, .frontchannelLogout: true
        case .me, .sessions, .keys, nil: false
        }
    }
}
