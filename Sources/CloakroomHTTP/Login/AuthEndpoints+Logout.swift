import Cloakroom
import HTTPTypes
import Logging

extension AuthEndpoints {
    /// `GET|POST /auth/logout`: ends the session here, then the one at the identity provider (OpenID Connect RP-Initiated
    /// Logout §2).
    func logout(_ request: SessionRequest) async throws -> HTTPAnswer {
        if let refusal = requestGuard.refusalOfOrigin(request.head.headerFields) {
            events?.emit(SessionEvent(.denied(reason: refusal.rawValue)))
            return refusedLogout(refusal, request)
        }
        var providersPage: String?
        let state = randomText()
        if let presented = request.session.presentedID {
            let live = try await request.session.current()
            try await SessionEndReason.logout.around {
                try await storeCall { try await store.deleteSession(presented) }
            }
            request.session.forget()
            if let live {
                request.logger.log(
                    level: events == nil ? .info : .debug, "A user logged out",
                    metadata: ["session": "\(live.id.handle)"])
                providersPage = await providerLogout(idToken: live.session.tokens.idToken, state: state, request)
            }
        }
        return leaving(to: providersPage, state: state)
    }

    /// Takes the session's cookie back, and sends the browser to the provider's page, or the start page where there is none.
    func leaving(to providersPage: String?, state: String) -> HTTPAnswer {
        var answer = HTTPAnswer.redirect(to: providersPage ?? "/")
        answer.headers.add(cookies.endedSessionCookie, for: .setCookie)
        if providersPage != nil { answer.headers.add(cookies.logoutCookie(state: state), for: .setCookie) }
        return answer
    }

    /// Where the provider ends its own session; `nil` when it can't be asked, as the user is logged out here in any case.
    func providerLogout(idToken: String?, state: String, _ request: SessionRequest) async -> String? {
        do {
            return try await provider.logoutURL(idToken: idToken, state: state)
        } catch {
            request.logger.warning(
                "Logged out here only: the identity provider's logout address is unknown",
                metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Another site's link must not log anyone out, but a person who followed it may want to.
    private func refusedLogout(
        _ refusal: RequestGuard.Refusal, _ request: SessionRequest
    ) -> HTTPAnswer {
        guard request.head.wantsPage, request.head.method == .get else { return .refused(refusal) }
        let page = ErrorPage(
            status: .forbidden, title: "Log out?", message: "Another site asks to log you out of this one.",
            requestID: request.id, action: .init(label: "Log out", path: paths[.logout], isForm: true))
        return .html(pages.html(for: page), status: .forbidden)
    }
}
