import AsyncHTTPClient
import Cloakroom
import CloakroomHTTP
import CloakroomOIDC
import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1

/// Answers each request of the gateway: finds its session and its route, turns errors into answers, and writes its line of
/// the access log.
struct GatewayResponder: HTTPResponder {
    private let store: any GatewayStore
    private let replicaName: String?
    private let security: SecurityFields
    private let failures: FailureAnswers
    private let auth: AuthEndpoints
    private let health: HealthAnswers
    private let pages: Pages
    private let proxy: UpstreamProxy?

    init(
        settings: GatewaySettings, publicURL: PublicURL, store: any GatewayStore, relyingParty: RelyingParty,
        client: HTTPClient, refresher: TokenRefresher, events: SessionEvents
    ) throws {
        self.store = store
        replicaName = settings.replicaName
        pages = try Pages(
            providerName: settings.oidcProviderName, replicaName: settings.replicaName,
            hasUpstream: settings.upstreamURL != nil)
        security = SecurityFields(publicURL: publicURL)
        failures = FailureAnswers(pages: pages)
        health = HealthAnswers(store: store, storeName: settings.effectiveStore.rawValue)
        auth = AuthEndpoints(
            store: store, records: store, provider: relyingParty, publicURL: publicURL, pages: pages, events: events)
        proxy = settings.upstreamURL.map { upstreamURL in
            UpstreamProxy(
                upstreamURL: upstreamURL, publicURL: publicURL, client: client, settings: settings.upstream,
                refresher: refresher, events: events)
        }
    }

    func respond(to request: Request, context: GatewayContext) async throws -> Response {
        let start = ContinuousClock.now
        // Two servers could take a request that names two hosts for two different ones (RFC 9112 §3.2). Thrown as what the
        // parser throws at other ambiguities, so that the server answers 400 and closes the connection. The first one has
        // become the request's authority.
        guard !request.headers.contains(.secondHost) else {
            context.logger.notice("Refused a request with two Host fields")
            throw HTTPParserError.invalidHeaderToken
        }
        context.session.look(at: request.headers, in: store, cookies: auth.cookies)
        let route = request.head.pathWithoutQuery.flatMap { GatewayRoute(path: $0, hasUpstream: proxy != nil) }
        var response: Response
        do {
            response = try await self.response(route, request, context)
        } catch {
            response = Response(
                failures.answer(to: error, request.head, requestID: context.id, logger: context.logger))
        }
        // Errors of the proxy too: a body here would be read as the next response (RFC 9110 §9.3.2).
        if request.method == .head { response = response.createHeadResponse() }
        security.add(to: &response.headers)
        if let replicaName { response.headers[.cloakroomReplica] = replicaName }
        AccessLog.write(request.head, route: route, status: response.status, since: start, context)
        return response
    }

    private func response(
        _ route: GatewayRoute?, _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        guard let route else { throw RequestFailure(.notFound, requestID: context.id) }
        guard route.methods.contains(request.method) else { return Response(.methodNotAllowed(route.methods)) }
        switch route {
        case .upstream:
            guard let proxy else { throw RequestFailure(.notFound, requestID: context.id) }
            return try await proxy.forward(request, context)
        case .auth(let endpoint):
            let request = SessionRequest(
                request.head, session: context.session, id: context.id, clientAddress: context.remoteAddress,
                logger: context.logger)
            return Response(await auth.answer(endpoint, request))
        case .start: return Response(try await startPage(request, context))
        case .health: return Response(.json(["status": "ok"]))
        case .readiness: return Response(await health.readiness())
        case .asset(let asset): return Response(asset.answer)
        }
    }

    /// `/`: the login button for visitors, the session for users.
    private func startPage(_ request: Request, _ context: GatewayContext) async throws -> HTTPAnswer {
        // The provider comes back from a logout with a `state`, which means nothing any more.
        if request.uri.query?.hasPrefix("state=") == true { return .redirect(to: "/") }
        guard let live = try await context.session.current() else { return .html(pages.landing()) }
        return .html(pages.user(live))
    }
}

extension HTTPField.Name {
    static var cloakroomReplica: Self { .known("X-Cloakroom-Replica") }
    fileprivate static var secondHost: Self { .known("Host") }
}

extension Response {
    /// The answer as Hummingbird sends it.
    init(_ answer: HTTPAnswer) {
        self.init(
            status: answer.status, headers: answer.headers, body: .init(byteBuffer: .init(bytes: answer.body)))
    }
}
