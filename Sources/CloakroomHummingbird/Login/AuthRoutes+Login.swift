import Cloakroom
import CloakroomOIDC
import HTTPTypes
package import Hummingbird
import Logging

extension AuthRoutes {
    /// The longest `state` that is looked up; ours has 43 characters.
    private static var maximumStateLength: Int { 512 }

    /// `GET /auth/login?return_to=/x`: sends the browser to the identity provider.
    @Sendable func login(_ request: Request, _ context: Context) async throws -> Response {
        let returnTo = ReturnAddress(QueryParameters(request.uri.query)?["return_to"])
        if publicURL.isOtherLoopbackName(request.head.authority) {
            return .noStoreRedirect(to: "\(publicURL.origin)/auth/login?return_to=\(percentEncoded(returnTo.path))")
        }
        guard budget.take() else {
            context.logger.warning("Too many logins have begun; new ones must wait")
            events?.emit(SessionEvent(.denied(reason: "too_many_logins")))
            throw failure(
                .serviceUnavailable, "too_many_logins", "Too many logins at once",
                "Please try again in a minute.", context)
        }
        let binding: LoginBinding
        if case .value(let text) = request.headers.cookie(named: cookies.loginName), let ours = LoginBinding(text) {
            binding = ours
        } else {
            binding = LoginBinding()
        }
        let login: LoginRequest
        do {
            login = try await relyingParty.beginLogin()
        } catch {
            throw failure(for: error, context)
        }
        try await transactions.begin(login.pending, returnTo: returnTo, binding: binding)
        var response = Response.noStoreRedirect(to: login.authorizationURL)
        response.headers.add(cookies.loginCookie(binding), for: .setCookie)
        return response
    }

    /// `GET /auth/callback`: where the identity provider sends the browser back to.
    @Sendable func callback(_ request: Request, _ context: Context) async throws -> Response {
        guard let parameters = QueryParameters(request.uri.query), let state = parameters["state"], !state.isEmpty,
            state.utf8.count <= Self.maximumStateLength,
            case .value(let text) = request.headers.cookie(named: cookies.loginName),
            let binding = LoginBinding(text),
            let transaction = try await transactions.take(state: state, binding: binding)
        else {
            context.logger.notice("Refused a callback that no login of this browser waits for")
            events?.emit(SessionEvent(.denied(reason: "invalid_callback")))
            throw unknownLogin(context)
        }
        let result: LoginResult
        do {
            result = try await relyingParty.finishLogin(
                AuthorizationResponse(
                    code: parameters["code"], state: state, issuer: parameters["iss"], error: parameters["error"]),
                pending: transaction.pending)
        } catch {
            throw failure(for: error, context)
        }
        // The old session dies first: should storing the new one fail, the user has none, rather than two.
        if let old = context.session.presentedID {
            try await SessionEndReason.replaced.around {
                try await storeCall { try await store.deleteSession(old) }
            }
        }
        let id = try await storeCall {
            try await store.createSession(
                NewSession(
                    tokens: result.tokens, userInfo: result.userInfo, issuer: result.issuer,
                    providerSessionID: result.providerSessionID,
                    client: SessionClient(userAgent: request.headers[.userAgent], address: context.clientAddress)))
        }
        // Where events are told of, the log has it from them.
        context.logger.log(
            level: events == nil ? .info : .debug, "A user logged in", metadata: ["session": "\(id.handle)"])
        var response = Response.noStoreRedirect(to: transaction.returnTo.path)
        response.headers.add(cookies.sessionCookie(id), for: .setCookie)
        return response
    }

    private func unknownLogin(_ context: Context) -> Failure {
        failure(
            .badRequest, "invalid_callback", "This login can't be completed",
            "It was completed already, took too long, or began in another browser.", context)
    }

    /// What the user is told of an error between us and the provider; the log has the rest.
    private func failure(for error: OIDCError, _ context: Context) -> Failure {
        context.logger.warning("A login failed", metadata: ["error": "\(error)"])
        events?.emit(SessionEvent(.denied(reason: error.codeWord)))
        switch error.code {
        case .providerUnavailable:
            return failure(
                .serviceUnavailable, "provider_unavailable", "The login service does not answer",
                "Please try again in a moment.", context)
        case .loginRefused:
            return failure(
                .forbidden, "login_refused", "You were not logged in",
                "The login was cancelled or refused.", context)
        case .invalidCallback:
            return unknownLogin(context)
        case .invalidGrant:
            return failure(
                .badRequest, "invalid_grant", "This login can't be completed",
                "The login service did not accept it. It may have taken too long.", context)
        default:
            return failure(
                .badGateway, "provider_error", "The login failed",
                "The login service's answer could not be accepted.", context)
        }
    }

    func failure(
        _ status: HTTPResponse.Status, _ name: String, _ title: String, _ message: String, _ context: Context
    ) -> Failure {
        Failure(
            name: name,
            page: ErrorPage(
                status: status, title: title, message: message, requestID: context.id,
                action: .init(label: "Try again", path: "/auth/login")))
    }
}

extension Response {
    /// A redirect that is made afresh each time.
    package static func noStoreRedirect(to location: String) -> Response {
        Response(status: .seeOther, headers: [.location: location, .cacheControl: "no-store"])
    }
}
