import Cloakroom
import HTTPTypes
import Logging

extension AuthEndpoints {
    private static let longestIssuer = 2048

    /// `GET /auth/frontchannel-logout?iss=…&sid=…`: a page of the provider's shows this in a frame, as it ends its session
    /// (OpenID Connect Front-Channel Logout §2, §3).
    ///
    /// Browsers keep `SameSite=Lax` cookies from a frame within another site's page, so it ends the sessions of that provider
    /// session whether or not the cookie comes. Issuer and `sid` must both be there: without them, any page could log its
    /// visitors out. The answer is the same whether or not there was such a session.
    func frontchannelLogout(_ request: SessionRequest) async throws -> HTTPAnswer {
        guard let logouts, let directory else { throw RequestFailure(.notFound, requestID: request.id) }
        guard let parameters = QueryParameters(request.head.query), let issuer = parameters["iss"],
            (1...Self.longestIssuer).contains(issuer.utf8.count), let sid = parameters["sid"],
            (1...ProviderSession.maximumLength).contains(sid.utf8.count),
            let origins = await logouts.pageOrigins(ofIssuer: issuer)
        else {
            request.logger.notice("Ignored a front-channel logout that does not name a session of one of our providers")
            throw RequestFailure(
                name: "invalid_request",
                page: ErrorPage(
                    status: .badRequest, title: "Nobody was logged out",
                    message: "The request does not name a session of a login service of this app.",
                    requestID: request.id))
        }
        let ended = ProviderSession(issuer: issuer, sid: sid)
        let live = try await request.session.current()
        let isThisBrowsers = live.map { $0.session.providerSession == ended } ?? false
        try await SessionEndReason.revokedByProvider.around {
            try await storeCall {
                // Its own first: one that another program has made is in no index.
                if isThisBrowsers, let live { try await store.deleteSession(live.id) }
                _ = try await directory.deleteSessions(ofProviderSession: ended)
            }
        }
        var answer = HTTPAnswer.html(Self.frontchannelPage, headers: [.contentSecurityPolicy: Self.policy(origins)])
        if isThisBrowsers {
            request.session.forget()
            answer.headers.add(cookies.endedSessionCookie, for: .setCookie)
        }
        return answer
    }

    /// Nothing is loaded or run, and the provider's pages alone may frame it.
    private static func policy(_ origins: [String]) -> String {
        let ancestors = origins.isEmpty ? "'none'" : origins.joined(separator: " ")
        return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors \(ancestors)"
    }

    private static let frontchannelPage =
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Logged out</title></head><body></body></html>"
}
