import Cloakroom
import HTTPTypes
import Logging

extension AuthEndpoints {
    /// `POST /auth/backchannel-logout`: the provider tells that it has ended a session of its own, or all of a user
    /// (OpenID Connect Back-Channel Logout §2.5 to §2.8).
    ///
    /// The request comes from the provider's server: without a cookie, from no origin, perhaps to an internal name of this
    /// host. The token alone says who may do this.
    func backchannelLogout(_ request: SessionRequest) async throws -> HTTPAnswer {
        guard let logouts, let directory else { throw RequestFailure(.notFound, requestID: request.id) }
        guard let token = Self.logoutToken(request) else {
            return refused("the request is not a form with one logout_token", request)
        }
        let logout: ProviderLogout
        do {
            logout = try await logouts.verify(logoutToken: token)
        } catch {
            guard error.code == .providerUnavailable else { return refused(error.reason, request) }
            // The provider may send it again when its keys can be fetched.
            request.logger.warning("A logout token could not be verified", metadata: ["error": "\(error)"])
            throw RequestFailure(.serviceUnavailable, requestID: request.id)
        }
        guard try await notes.claim(logout) else { return refused("it was used before", request) }
        do {
            try await notes.note(logout.subject)
            let count = try await end(logout.subject, in: directory)
            try await notes.keep(logout)
            request.logger.info("The identity provider has ended sessions", metadata: ["count": "\(count)"])
        } catch {
            await notes.release(logout)
            throw error
        }
        return .json(["status": "ok"])
    }

    private func end(_ subject: ProviderLogout.Subject, in directory: any SessionDirectory) async throws -> Int {
        try await SessionEndReason.revokedByProvider.around {
            try await storeCall {
                switch subject {
                case .session(let session): try await directory.deleteSessions(ofProviderSession: session)
                case .user(let user): try await directory.deleteSessions(ofUser: user, except: nil)
                }
            }
        }
    }

    private static func logoutToken(_ request: SessionRequest) -> String? {
        let type = (request.head.headerFields[.contentType] ?? "").prefix { $0 != ";" }
        guard type.split(separator: " ").joined().lowercased() == "application/x-www-form-urlencoded",
            let body = String(validating: request.body, as: UTF8.self),
            let form = QueryParameters(body, maximumLength: AuthEndpoint.backchannelLogout.maximumBody),
            let token = form["logout_token"], !token.isEmpty
        else { return nil }
        return token
    }

    /// 400 as the standard has it (§2.8). The reason helps who runs the provider, and holds nothing secret.
    private func refused(_ reason: String, _ request: SessionRequest) -> HTTPAnswer {
        request.logger.warning("Refused a logout token", metadata: ["reason": "\(reason)"])
        events?.emit(SessionEvent(.denied(reason: "invalid_logout_token")))
        return .json(
            [
                "error": "invalid_request", "error_description": .string("The logout token was refused: \(reason)."),
                "request_id": .string(request.id),
            ], status: .badRequest)
    }
}
