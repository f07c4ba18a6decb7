import HTTPTypes
import Hummingbird

/// A checked logout request (OpenID Connect RP-Initiated Logout 1.0 §2).
struct LogoutRequest: Sendable {
    /// Where the browser goes afterwards, with the state; `nil` for our own page.
    let target: String?
    /// What a valid `id_token_hint` said.
    let hint: IDTokenClaims?

    struct Fault: Error {
        let message: String
    }

    init(query: String, provider: Provider) async throws(Fault) {
        guard let parameters = FormParameters(query), parameters.repeated.isEmpty else {
            throw Fault(message: "The application sent a request that can't be read.")
        }
        if let hint = parameters["id_token_hint"] {
            self.hint = await provider.mint.readIDTokenHint(hint)
        } else {
            hint = nil
        }
        let clientID = parameters["client_id"]
        guard hint == nil || clientID == nil || hint?.aud == clientID else {
            throw Fault(message: "The id_token_hint was not made for this client_id.")
        }
        guard let uri = parameters["post_logout_redirect_uri"] else {
            target = nil
            return
        }
        guard let id = hint?.aud ?? clientID, let client = provider.client(id),
            client.postLogoutRedirectURIs.contains(uri)
        else {
            throw Fault(
                message: "The application's post_logout_redirect_uri is not registered. It must match to the letter.")
        }
        target = FormEncoding.appending([("state", parameters["state"])], to: uri)
    }
}

extension Provider {
    /// The logout endpoint. Without a valid `id_token_hint` the user is asked first.
    func endSession(_ request: Request, query: String) async -> Response {
        let logout: LogoutRequest
        do {
            logout = try await LogoutRequest(query: query, provider: self)
        } catch {
            return .page(Pages.error(error.message), status: .badRequest)
        }
        guard let hint = logout.hint else {
            let browser = forms.browser(request)
            var response = Response.page(
                Pages.confirmLogout(
                    request: query, csrf: forms.token(.logout, browser: browser, request: query)),
                formTarget: logout.target)
            forms.remember(browser: browser, in: &response)
            return response
        }
        await endSession(sid: hint.sid, subject: hint.sub)
        var response = loggedOut(logout)
        // The browser may have a newer session of the same user; another user's is not what was meant.
        if let session = forms.sessionValue(request).flatMap(state.session) {
            guard user(session.username)?.subject == hint.sub else { return response }
            await endSession(session)
        }
        forms.forgetSession(in: &response)
        return response
    }

    /// The confirmation form's target.
    func confirmEndSession(_ request: Request) async throws -> Response {
        guard let form = try await form(request), form.repeated.isEmpty,
            forms.isValid(form["csrf"] ?? "", .logout, request: request, answering: form["request"] ?? "")
        else {
            return .page(Pages.error("The form was too old. Please try again."), status: .forbidden)
        }
        let logout: LogoutRequest
        do {
            logout = try await LogoutRequest(query: form["request"] ?? "", provider: self)
        } catch {
            return .page(Pages.error(error.message), status: .badRequest)
        }
        if let session = forms.sessionValue(request).flatMap(state.session) { await endSession(session) }
        var response = loggedOut(logout)
        forms.forgetSession(in: &response)
        return response
    }

    private func loggedOut(_ logout: LogoutRequest) -> Response {
        logout.target.map(Response.seeOther) ?? .page(Pages.loggedOut)
    }
}
