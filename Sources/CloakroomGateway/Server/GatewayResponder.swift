import Cloakroom
import CloakroomHTTP
import CloakroomOIDC
import HTTPTypes
import Logging

/// Answers the requests that are for the gateway itself, and turns errors into answers.
struct GatewayResponder: Sendable {
    /// What a task may know of a request.
    struct Parts: Sendable {
        let head: HTTPRequest
        let route: GatewayRoute?
        let id: String
        let address: String?
        /// The body, for routes that look at it.
        let body: [UInt8]

        /// For events of what is done for it.
        var origin: RequestOrigin {
            RequestOrigin(
                client: SessionClient(userAgent: head.headerFields[.userAgent], address: address), requestID: id)
        }

        init(_ request: GatewayRequest, body: [UInt8]) {
            self.body = body
            head = request.asHTTPRequest
            route = request.route
            id = request.id
            address = request.address.text
        }
    }

    private let store: any GatewayStore
    private let failures: FailureAnswers
    let auth: AuthEndpoints
    let health: HealthAnswers
    private let pages: Pages
    private let audit: AuditLog?
    private let events: SessionEvents
    private let logger: Logger

    init(
        settings: GatewaySettings, publicURL: PublicURL, store: any GatewayStore, relyingParty: RelyingParty,
        events: SessionEvents, audit: AuditLog?, logger: Logger
    ) throws {
        self.store = store
        self.audit = audit
        self.events = events
        self.logger = logger
        pages = try Pages(
            providerName: settings.oidcProviderName, replicaName: settings.replicaName,
            hasUpstream: settings.upstreamURL != nil)
        failures = FailureAnswers(pages: pages)
        health = HealthAnswers(store: store, storeName: settings.effectiveStore.rawValue)
        auth = AuthEndpoints(
            store: store, records: store, provider: relyingParty, publicURL: publicURL, pages: pages, events: events,
            directory: store, endNotes: store,
            providerTitle: { [issuer = settings.oidcIssuer, title = settings.oidcProviderName] in
                $0 == nil || $0 == issuer ? title : $0
            },
            logouts: LogoutVerifier(relyingParty))
    }

    /// The answer to a request of which nobody needs to be asked; `nil` if somebody must be.
    func answerNow(_ request: GatewayRequest) -> HTTPAnswer? {
        guard let method = HTTPRequest.Method(request.method) else { return nil }
        switch request.route {
        case .health? where GatewayRoute.health.methods.contains(method): return .json(["status": "ok"])
        case .asset(let asset)? where GatewayRoute.asset(asset).methods.contains(method): return asset.answer
        default: return nil
        }
    }

    /// The answer to a request, and the session that it was found to have.
    func respond(_ request: Parts) async -> (answer: HTTPAnswer, handle: SessionHandle?) {
        let session = RequestSession(request.head.headerFields, in: store, cookies: auth.cookies)
        let logger = logger(request.id)
        do {
            let answer = try await RequestOrigin.$current.withValue(request.origin) {
                try await response(request, session, logger)
            }
            return (answer, session.handle)
        } catch {
            let answer = failures.answer(to: error, request.head, requestID: request.id, logger: logger)
            return (answer, session.handle)
        }
    }

    /// The answer to a request whose handling failed.
    func answer(to error: any Error, _ request: GatewayRequest) -> HTTPAnswer {
        failures.answer(to: error, request.asHTTPRequest, requestID: request.id, logger: logger(request.id))
    }

    private func logger(_ id: String) -> Logger {
        var logger = logger
        logger[metadataKey: "request_id"] = "\(id)"
        return logger
    }

    private func response(
        _ request: Parts, _ session: RequestSession, _ logger: Logger
    ) async throws -> HTTPAnswer {
        guard let route = request.route else { throw RequestFailure(.notFound, requestID: request.id) }
        guard route.methods.contains(request.head.method) else { return .methodNotAllowed(route.methods) }
        switch route {
        // Those that this answers have no upstream; event streams are not answered here.
        case .upstream, .events: throw RequestFailure(.notFound, requestID: request.id)
        case .auth(let endpoint):
            if endpoint == .login || endpoint == .callback, audit?.refusesLogins == true {
                // Written as soon as that can be, which ends this state.
                events.emit(SessionEvent(.denied(reason: "audit_unavailable")))
                throw auditUnavailable(request)
            }
            return await auth.answer(
                endpoint,
                SessionRequest(
                    request.head, session: session, id: request.id, clientAddress: request.address, body: request.body,
                    logger: logger))
        case .start: return try await startPage(request, session)
        case .health: return .json(["status": "ok"])
        case .readiness: return await health.readiness(tellsWhy: false)
        case .asset(let asset): return asset.answer
        }
    }

    private func auditUnavailable(_ request: Parts) -> RequestFailure {
        RequestFailure(
            name: "audit_unavailable",
            page: ErrorPage(
                status: .serviceUnavailable, title: "Nobody can log in at the moment",
                message: "Please try again in a moment.", requestID: request.id,
                action: .init(label: "Try again", path: AuthEndpoint.login.path)))
    }

    /// `/`: the login button for visitors, the session for users.
    private func startPage(_ request: Parts, _ session: RequestSession) async throws -> HTTPAnswer {
        switch auth.logoutReturn(request.head) {
        case .absent: break
        case .unknown: return .redirect(to: "/")
        case .confirmed:
            let live = try await session.current()
            var answer: HTTPAnswer =
                live == nil ? .html(pages.landing(notice: "You are logged out.")) : .redirect(to: "/")
            if request.head.method == .get { answer.headers.add(auth.cookies.endedLogoutCookie, for: .setCookie) }
            return answer
        }
        guard let live = try await session.current() else { return await landing(request, session) }
        return .html(pages.user(live))
    }

    /// The landing page. A browser that still has the cookie of a session that was ended lately is told why, once: with that it
    /// gives up the cookie.
    private func landing(_ request: Parts, _ session: RequestSession) async -> HTTPAnswer {
        guard request.head.method == .get, let id = session.presentedID,
            let reason = try? await store.endReason(of: id.handle), let notice = reason.notice
        else { return .html(pages.landing()) }
        var answer = HTTPAnswer.html(pages.landing(notice: notice))
        answer.headers.add(auth.cookies.endedSessionCookie, for: .setCookie)
        return answer
    }
}
