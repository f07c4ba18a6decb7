public import Cloakroom

/// The names and attributes of the cookies: the session's; for the minutes of a login, the one that binds the login to its
/// browser, and for those of a logout at the provider the one that does the same there; and for seconds, the one that remembers
/// logins, so that a browser that is sent round in circles is stopped.
///
/// All are `HttpOnly`, `SameSite=Lax`, `Path=/` and have no `Domain`. On https they are `Secure` and named `__Host-…`, so
/// that no sibling domain can set them; on plain http, which ``PublicURL`` allows on this machine alone, browsers would
/// refuse that, so they go without.
public struct CookieSettings: Sendable {
    /// Whether the cookies are `Secure`.
    public let isSecure: Bool
    /// `__Host-cloakroom_session` or `cloakroom_session`.
    public let sessionName: String
    /// `__Host-cloakroom_login` or `cloakroom_login`.
    public let loginName: String
    /// `__Host-cloakroom_logins` or `cloakroom_logins`.
    let recentLoginsName: String
    /// `__Host-cloakroom_logout` or `cloakroom_logout`.
    public let logoutName: String

    /// Makes the settings for an app that browsers reach at this address.
    public init(publicURL: PublicURL) {
        isSecure = publicURL.isSecure
        let prefix = isSecure ? "__Host-" : ""
        sessionName = prefix + "cloakroom_session"
        loginName = prefix + "cloakroom_login"
        recentLoginsName = prefix + "cloakroom_logins"
        logoutName = prefix + "cloakroom_logout"
    }

    /// Every name that must stay between the browser and us, whichever of the two forms is in use.
    package static let reservedNames: Set<String> = [
        "__Host-cloakroom_session", "cloakroom_session", "__Host-cloakroom_login", "cloakroom_login",
        "__Host-cloakroom_logins", "cloakroom_logins",
        "__Host-cloakroom_logout", "cloakroom_logout",
    ]

    /// A `Set-Cookie` value that hands the browser its ticket. It ends with the browser's own session, or when the store
    /// says so.
    public func sessionCookie(_ id: SessionID) -> String {
        "\(sessionName)=\(id.secret); \(attributes)"
    }

    /// A `Set-Cookie` value that takes the ticket back.
    public var endedSessionCookie: String { "\(sessionName)=; Max-Age=0; \(attributes)" }

    /// A `Set-Cookie` value that binds logins to this browser for a while.
    func loginCookie(_ binding: LoginBinding) -> String {
        "\(loginName)=\(binding.secret); Max-Age=\(LoginTransactions.lifetimeInSeconds); \(attributes)"
    }

    /// A `Set-Cookie` value that remembers this browser's logins.
    func recentLoginsCookie(_ value: String) -> String {
        "\(recentLoginsName)=\(value); Max-Age=\(RecentLogins.window); \(attributes)"
    }

    /// A `Set-Cookie` value by which this browser knows its logout again when the provider sends it back.
    func logoutCookie(state: String) -> String {
        "\(logoutName)=\(state); Max-Age=\(LoginTransactions.lifetimeInSeconds); \(attributes)"
    }

    /// A `Set-Cookie` value that ends that.
    public var endedLogoutCookie: String { "\(logoutName)=; Max-Age=0; \(attributes)" }

    private var attributes: String { "Path=/; HttpOnly; SameSite=Lax" + (isSecure ? "; Secure" : "") }
}
