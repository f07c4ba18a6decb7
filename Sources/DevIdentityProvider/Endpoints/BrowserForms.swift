import Hummingbird

/// Ties each form to the browser that it was shown to and to the request that it answers, so that no other site can
/// send it.
struct BrowserForms: Sendable {
    // Browsers send a host's cookies to all its ports, so the names must not meet those of an application there.
    private static let browserCookie = "dev_idp_browser"
    private static let sessionCookie = "dev_idp_session"

    enum Purpose: String {
        case login, logout
    }

    private let key = MACKey()

    /// The browser's own random value, or a new one if it has none.
    func browser(_ request: Request) -> String {
        let value = request.cookies[Self.browserCookie]?.value ?? ""
        return value.utf8.count == 43 && value.utf8.allSatisfy(PKCE.isBase64URL) ? value : Secrets.random()
    }

    func token(_ purpose: Purpose, browser: String, request: String) -> String {
        key.tag("\(purpose.rawValue)\n\(browser)\n\(request)")
    }

    func isValid(_ token: String, _ purpose: Purpose, request: Request, answering text: String) -> Bool {
        guard let browser = request.cookies[Self.browserCookie]?.value else { return false }
        return key.isValid(token, for: "\(purpose.rawValue)\n\(browser)\n\(text)")
    }

    func sessionValue(_ request: Request) -> String? {
        request.cookies[Self.sessionCookie]?.value
    }

    func remember(browser: String, in response: inout Response) {
        response.setCookie(Cookie(name: Self.browserCookie, value: browser, path: "/", httpOnly: true, sameSite: .lax))
    }

    func remember(_ session: SSOSession, in response: inout Response) {
        response.setCookie(
            Cookie(name: Self.sessionCookie, value: session.cookieValue, path: "/", httpOnly: true, sameSite: .lax))
    }

    func forgetSession(in response: inout Response) {
        response.setCookie(
            Cookie(name: Self.sessionCookie, value: "", maxAge: 0, path: "/", httpOnly: true, sameSite: .lax))
    }
}
