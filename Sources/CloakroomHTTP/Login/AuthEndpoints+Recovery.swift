import Cloakroom
import HTTPTypes
import Logging

/// What helps a browser whose login goes astray.
extension AuthEndpoints {
    /// Counts this login among those that its browser has just begun.
    ///
    /// - Returns: the value of the cookie that remembers them.
    /// - Throws: ``RequestFailure`` when they are so many that something sends it round in circles.
    func recentLogins(_ request: SessionRequest, _ returnTo: ReturnAddress) throws -> String {
        var text: String?
        if case .value(let value) = request.head.headerFields.cookie(named: cookies.recentLoginsName) { text = value }
        if let value = RecentLogins(text).adding(returnTo) { return value }
        request.logger.warning(
            "A browser goes round in circles: logins to the same address follow one another. Does it keep the session's cookie?"
        )
        events?.emit(SessionEvent(.denied(reason: "login_loop")))
        // The same address once more: it is a path of ours, and without anything that could lead elsewhere.
        let target = request.head.path.flatMap { $0.utf8.count <= ReturnAddress.maximumLength ? $0 : nil }
        throw RequestFailure(
            name: "login_loop",
            page: ErrorPage(
                status: .tooManyRequests, title: "The login goes round in circles",
                message:
                    "This browser was sent to log in more than \(RecentLogins.maximumCount) times within \(RecentLogins.window) seconds. Perhaps it blocks this site's cookies, or the app does not see that you are logged in. Allow cookies for this site, then try again.",
                requestID: request.id, action: .init(label: "Log in", path: target ?? paths[.login])),
            headers: [.retryAfter: "\(RecentLogins.window)"])
    }

    /// Where a callback leads that came again, or failed, when its browser has been logged in since that login began: by another
    /// tab, or by the same callback before. Only the browser that began the login can open its state.
    ///
    /// - Returns: `nil` when the callback must fail.
    func landingOfLiveSession(_ request: SessionRequest) async -> HTTPAnswer? {
        guard let parameters = QueryParameters(request.head.query), let state = parameters["state"],
            case .value(let text) = request.head.headerFields.cookie(named: cookies.loginName),
            let binding = LoginBinding(text), let login = LoginState(state, openedWith: binding),
            let live = try? await request.session.current(), LoginTransactions.isSince(login.began, live.session)
        else { return nil }
        request.logger.info(
            "A login that failed or came again leads on: its browser is logged in",
            metadata: ["session": "\(live.id.handle)"])
        return .redirect(to: login.returnTo.path)
    }
}
