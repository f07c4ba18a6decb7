import Cloakroom
public import HTTPTypes

/// What a request says of a logout at the provider that it comes back from (OpenID Connect RP-Initiated Logout §3).
public enum LogoutReturn: Sendable {
    /// It comes from none: there is no `state`.
    case absent
    /// The provider has ended the session that this browser has asked it to end.
    case confirmed
    /// It has a `state`, but not one that this browser was given: to be ignored.
    case unknown
}

extension AuthEndpoints {
    /// What a request to the post-logout redirect URI means. Look at it where that leads, such as on the start page.
    ///
    /// `state` is compared to a cookie that the logout has set for some minutes. Take that back
    /// (``CookieSettings/endedLogoutCookie``) once the return is confirmed, so that it counts once.
    public func logoutReturn(_ head: HTTPRequest) -> LogoutReturn {
        guard let query = head.query else { return .absent }
        guard let parameters = QueryParameters(query) else { return .unknown }
        guard let state = parameters["state"] else { return .absent }
        guard case .value(let expected) = head.headerFields.cookie(named: cookies.logoutName), !expected.isEmpty,
            constantTimeEquals(state, expected)
        else { return .unknown }
        return .confirmed
    }
}
