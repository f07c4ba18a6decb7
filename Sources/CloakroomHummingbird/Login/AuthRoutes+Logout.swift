import Cloakroom
import CloakroomOIDC
import HTTPTypes
import Hummingbird
import Logging

extension AuthRoutes {
    /// `GET|POST /auth/logout`: ends the session here, then the one at the identity provider (OpenID Connect RP-Initiated
    /// Logout §2).
    @Sendable func logout(_ request: Request, _ context: Context) async throws -> Response {
        if let refusal = requestGuard.refusalOfOrigin(request.headers) {
            events?.emit(SessionEvent(.denied(reason: refusal.rawValue)))
            return refusedLogout(refusal, request, context)
        }
        var destination = "/"
        if let presented = context.session.presentedID {
            let live = try await context.session.current()
            try await SessionEndReason.logout.around {
                try await storeCall { try await store.deleteSession(presented) }
            }
            context.session.forget()
            if let live {
                context.logger.log(
                    level: events == nil ? .info : .debug, "A user logged out",
                    metadata: ["session": "\(live.id.handle)"])
                destination = await providerLogout(idToken: live.session.tokens.idToken, context)
            }
        }
        var response = Response.noStoreRedirect(to: destination)
        response.headers.add(cookies.endedSessionCookie, for: .setCookie)
        return response
    }

    /// Where the provider ends its own session; the start page when it can't be asked, as the user is logged out here in
    /// any case.
    private func providerLogout(idToken: String?, _ context: Context) async -> String {
        do {
            return try await relyingParty.logoutURL(idToken: idToken, state: SessionID().secret) ?? "/"
        } catch {
            context.logger.warning(
                "Logged out here only: the identity provider's logout address is unknown",
                metadata: ["error": "\(error)"])
            return "/"
        }
    }

    /// Another site's link must not log anyone out, but a person who followed it may want to.
    private func refusedLogout(
        _ refusal: RequestGuard.Refusal, _ request: Request, _ context: Context
    ) -> Response {
        guard request.wantsPage, request.method == .get else {
            return .json(["error": .string(refusal.rawValue)], status: .forbidden)
        }
        let page = ErrorPage(
            status: .forbidden, title: "Log out?", message: "Another site asks to log you out of this one.",
            requestID: context.id, action: .init(label: "Log out", path: "/auth/logout", isForm: true))
        return .html(pages.html(for: page), status: .forbidden)
    }
}
