import HTTPTypes
import Hummingbird

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Provider {
    /// The authorization endpoint: the login form, or straight back with a code when the browser is signed in.
    func authorize(_ request: Request, query: String) -> Response {
        let authorization: AuthorizationRequest
        do {
            authorization = try AuthorizationRequest(query: query, clients: configuration.clients)
        } catch {
            return refusal(error)
        }
        if let session = forms.sessionValue(request).flatMap(state.session), suffices(session, for: authorization) {
            return codeResponse(authorization, session: session)
        }
        if authorization.prompt.contains("none") {
            return errorRedirect(
                "login_required", "The user is not signed in", to: authorization.redirectURI, state: authorization.state
            )
        }
        return loginForm(request, query: query, authorization, username: authorization.loginHint ?? "")
    }

    /// The login form's target.
    func login(_ request: Request) async throws -> Response {
        guard let form = try await form(request), form.repeated.isEmpty, let query = form["request"] else {
            return .page(
                Pages.error("The form can't be read. Go back to your application and start again."), status: .badRequest
            )
        }
        let authorization: AuthorizationRequest
        do {
            authorization = try AuthorizationRequest(query: query, clients: configuration.clients)
        } catch {
            return refusal(error)
        }
        let username = form["username"] ?? ""
        guard forms.isValid(form["csrf"] ?? "", .login, request: request, answering: query) else {
            return loginForm(
                request, query: query, authorization, username: username, status: .forbidden,
                message: "The form was too old. Please try again.")
        }
        guard let user = user(username), Secrets.equal(user.password, form["password"] ?? "") else {
            try await Task.sleep(for: configuration.wrongPasswordDelay)
            return loginForm(
                request, query: query, authorization, username: username,
                message: "Wrong username or password. Please try again.")
        }
        // A login gets a session of its own; what this browser had before is over.
        if let old = forms.sessionValue(request).flatMap(state.session) {
            state.endSession(sid: old.sid)
        }
        let session = state.beginSession(username: user.username)
        var response = codeResponse(authorization, session: session)
        forms.remember(session, in: &response)
        return response
    }

    private func suffices(_ session: SSOSession, for authorization: AuthorizationRequest) -> Bool {
        guard authorization.prompt.isDisjoint(with: ["login", "select_account"]) else { return false }
        guard let maxAge = authorization.maxAge else { return true }
        return configuration.now().timeIntervalSince(session.authTime) <= Double(maxAge)
    }

    private func loginForm(
        _ request: Request, query: String, _ authorization: AuthorizationRequest, username: String,
        status: HTTPResponse.Status = .ok, message: String? = nil
    ) -> Response {
        let browser = forms.browser(request)
        let page = Pages.login(
            .init(
                clientID: authorization.client.id, request: query,
                csrf: forms.token(.login, browser: browser, request: query), username: username, message: message,
                hint: configuration.loginHint))
        var response = Response.page(page, status: status, formTarget: authorization.redirectURI)
        forms.remember(browser: browser, in: &response)
        return response
    }

    private func codeResponse(_ authorization: AuthorizationRequest, session: SSOSession) -> Response {
        let code = state.issueCode(for: authorization, session: session)
        return .seeOther(
            FormEncoding.appending(
                [("code", code), ("state", authorization.state), ("iss", issuer)], to: authorization.redirectURI))
    }

    private func refusal(_ fault: AuthorizationRequest.Fault) -> Response {
        switch fault {
        case .page(let message):
            .page(Pages.error(message), status: .badRequest)
        case .redirect(let error, let description, let redirectURI, let state):
            errorRedirect(error, description, to: redirectURI, state: state)
        }
    }

    private func errorRedirect(_ error: String, _ description: String, to uri: String, state: String?) -> Response {
        .seeOther(
            FormEncoding.appending(
                [("error", error), ("error_description", description), ("state", state), ("iss", issuer)], to: uri))
    }
}
