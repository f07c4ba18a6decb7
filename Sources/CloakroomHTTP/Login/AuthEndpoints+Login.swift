import Cloakroom
import HTTPTypes
import Logging

import struct Foundation.Date

extension AuthEndpoints {
    /// `GET /auth/login?return_to=/x`: sends the browser to the identity provider.
    func login(_ request: SessionRequest) async throws -> HTTPAnswer {
        let returnTo = paths.returnAddress(QueryParameters(request.head.query)?["return_to"])
        if publicURL.isOtherLoopbackName(request.head.authority) {
            return .redirect(to: "\(publicURL.origin)\(paths[.login])?return_to=\(PercentCoding.encode(returnTo.path))")
        }
        let recent = try recentLogins(request, returnTo)
        let binding: LoginBinding
        if case .value(let text) = request.head.headerFields.cookie(named: cookies.loginName),
            let ours = LoginBinding(text)
        {
            binding = ours
        } else {
            binding = LoginBinding()
        }
        // A login that could not be completed should not cost the user a password.
        try await storeCall { try await store.ping() }
        let location: String
        do {
            location = try await provider.authorizationURL(
                for: transactions.begin(returnTo: returnTo, binding: binding))
        } catch {
            throw failure(for: error, request)
        }
        var answer = HTTPAnswer.redirect(to: location)
        answer.headers.add(cookies.loginCookie(binding), for: .setCookie)
        answer.headers.add(cookies.recentLoginsCookie(recent), for: .setCookie)
        return answer
    }

    /// `GET /auth/callback`: where the identity provider sends the browser back to.
    func callback(_ request: SessionRequest) async throws -> HTTPAnswer {
        guard let parameters = QueryParameters(request.head.query), let state = parameters["state"],
            case .value(let text) = request.head.headerFields.cookie(named: cookies.loginName),
            let binding = LoginBinding(text),
            let transaction = try await transactions.take(state: state, binding: binding)
        else {
            if let landing = await landingOfLiveSession(request) { return landing }
            request.logger.notice("Refused a callback for which this browser has no login under way")
            events?.emit(SessionEvent(.denied(reason: "invalid_callback")))
            throw unknownLogin(request)
        }
        let redeemed = Date()
        let result: LoginResult
        do {
            result = try await provider.finishLogin(
                AuthorizationResponse(
                    code: parameters["code"], state: state, issuer: parameters["iss"], error: parameters["error"]),
                pending: transaction.pending)
        } catch {
            await transactions.release(transaction)
            let failure = failure(for: error, request)
            if let landing = await landingOfLiveSession(request) { return landing }
            throw failure
        }
        // The old session dies first: should storing the new one fail, the user has none, rather than two.
        if let old = request.session.presentedID {
            try await SessionEndReason.replaced.around {
                try await storeCall { try await store.deleteSession(old) }
            }
        }
        let id = try await storeCall {
            try await store.createSession(
                NewSession(
                    tokens: result.tokens, userInfo: result.userInfo, issuer: result.issuer,
                    providerSessionID: result.providerSessionID,
                    client: SessionClient(
                        userAgent: request.head.headerFields[.userAgent], address: request.clientAddress)))
        }
        try await endIfLoggedOut(id, result, began: transaction.began, redeemed: redeemed, request)
        // Where events are told of, the log has it from them.
        request.logger.log(
            level: events == nil ? .info : .debug, "A user logged in", metadata: ["session": "\(id.handle)"])
        var answer = HTTPAnswer.redirect(to: transaction.returnTo.path)
        answer.headers.add(cookies.sessionCookie(id), for: .setCookie)
        return answer
    }

    /// A logout at the provider, or everywhere, that came while this login was under way wins, though it found no session to end
    /// (R30).
    private func endIfLoggedOut(
        _ id: SessionID, _ result: LoginResult, began: Date, redeemed: Date, _ request: SessionRequest
    ) async throws {
        let isOver: Bool
        do {
            isOver = try await notes.haveEnded(result, began: began, redeemed: redeemed)
        } catch {
            // Nobody has the ID yet. What can't be told must not be let in.
            try? await store.deleteSession(id)
            throw error
        }
        guard isOver else { return }
        try await SessionEndReason.revokedByProvider.around {
            try await storeCall { try await store.deleteSession(id) }
        }
        request.logger.notice("A logout of all that this login belongs to came while it was under way")
        throw failure(
            .forbidden, "logged_out", "You were logged out",
            "Your sessions were ended while you logged in. Please log in again.", request)
    }

    private func unknownLogin(_ request: SessionRequest) -> RequestFailure {
        failure(
            .badRequest, "invalid_callback", "This login can't be completed",
            "It was already completed, took too long, or was started in another browser.", request)
    }

    /// What the user is told of an error between us and the provider; the log has the rest.
    private func failure(for error: OIDCError, _ request: SessionRequest) -> RequestFailure {
        request.logger.warning("A login failed", metadata: ["error": "\(error)"])
        events?.emit(SessionEvent(.denied(reason: error.codeWord)))
        switch error.code {
        case .providerUnavailable:
            return failure(
                .serviceUnavailable, "provider_unavailable", "The login service does not answer",
                "Please try again in a moment.", request)
        case .loginRefused:
            return failure(
                .forbidden, "login_refused", "You were not logged in",
                "The login was cancelled or refused.", request)
        case .invalidCallback:
            return unknownLogin(request)
        case .invalidGrant:
            return failure(
                .badRequest, "invalid_grant", "This login can't be completed",
                "The login service did not accept it. Perhaps it took too long.", request)
        default:
            return failure(
                .badGateway, "provider_error", "The login failed",
                "The login service's answer could not be accepted.", request)
        }
    }

    func failure(
        _ status: HTTPResponse.Status, _ name: String, _ title: String, _ message: String, _ request: SessionRequest
    ) -> RequestFailure {
        RequestFailure(
            name: name,
            page: ErrorPage(
                status: status, title: title, message: message, requestID: request.id,
                action: .init(label: "Try again", path: paths[.login])))
    }
}
