import AsyncHTTPClient
import Cloakroom
import CloakroomHummingbird
import CloakroomOIDC
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

/// `/api/**`: forwards requests of logged-in users to the upstream, with their access token.
struct ProxyRoutes: Sendable {
    /// How long the upstream may take until its response begins.
    private static let deadline: TimeAmount = .seconds(60)

    /// Scheme, host and port.
    let upstream: String
    let publicURL: PublicURL
    let client: HTTPClient
    let refresher: TokenRefresher

    init(upstreamURL: String, publicURL: PublicURL, client: HTTPClient, refresher: TokenRefresher) {
        upstream = upstreamURL.hasSuffix("/") ? String(upstreamURL.dropLast()) : upstreamURL
        self.publicURL = publicURL
        self.client = client
        self.refresher = refresher
    }

    /// Every method that a client may use.
    private static let methods: [HTTPRequest.Method] = [.get, .head, .post, .put, .patch, .delete, .options]

    func add(to router: some RouterMethods<GatewayContext>) {
        let group = router.group().add(middleware: APIGuardMiddleware(RequestGuard(publicURL: publicURL)))
        for method in Self.methods {
            group.on("/api", method: method, use: forward)
            group.on("/api/**", method: method, use: forward)
        }
    }

    @Sendable private func forward(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let path = UpstreamPath(request.head.path ?? "") else {
            return .json(["error": "invalid_path"], status: .badRequest)
        }
        guard let live = try await context.session.current() else { return .unauthenticated }
        switch try await refresher.freshSession(live.session, for: live.id) {
        case .ended:
            context.session.forget()
            return .unauthenticated
        case .providerUnavailable(let retryAfter):
            return .json(
                ["error": "provider_unavailable"], status: .serviceUnavailable,
                headers: [.retryAfter: "\(max(1, retryAfter.components.seconds + 1))"])
        case .ready(let session):
            return try await send(request, to: path, token: session.tokens.accessToken, context)
        }
    }

    private func send(
        _ request: Request, to path: UpstreamPath, token: String, _ context: GatewayContext
    ) async throws -> Response {
        var outgoing = HTTPClientRequest(url: upstream + path.pathAndQuery)
        outgoing.method = HTTPMethod(rawValue: request.method.rawValue)
        outgoing.headers = ProxyFields.request(
            request.headers,
            client: .init(remoteAddress: context.remoteAddress, publicURL: publicURL, accessToken: token))
        if let length = request.headers[.contentLength].flatMap(Int64.init) {
            if length > 0 { outgoing.body = .stream(request.body, length: .known(length)) }
        } else if request.headers[.transferEncoding] != nil {
            outgoing.body = .stream(request.body, length: .unknown)
        }
        do {
            let response = try await client.execute(outgoing, timeout: Self.deadline)
            return Self.response(response, to: request)
        } catch {
            return Self.failure(error, context)
        }
    }

    private static func response(_ upstream: HTTPClientResponse, to request: Request) -> Response {
        let headers = ProxyFields.response(upstream.headers)
        let status = HTTPResponse.Status(
            code: Int(upstream.status.code), reasonPhrase: upstream.status.reasonPhrase)
        // These have no body whatever their fields say (RFC 9112 §6.3).
        guard request.method != .head, status != .noContent, status != .notModified else {
            return Response(status: status, headers: headers)
        }
        let length = headers[.contentLength].flatMap(Int.init)
        return Response(
            status: status, headers: headers,
            body: ResponseBody(contentLength: length) { writer in
                for try await chunk in upstream.body { try await writer.write(chunk) }
                try await writer.finish(nil)
            })
    }

    private static func failure(_ error: any Error, _ context: GatewayContext) -> Response {
        // Only the error's kind: its text may quote the request.
        let code = (error as? HTTPClientError)?.description ?? "\(type(of: error))"
        context.logger.warning("The upstream failed", metadata: ["error": "\(code)"])
        let timeouts: [HTTPClientError] = [
            .deadlineExceeded, .readTimeout, .writeTimeout, .getConnectionFromPoolTimeout,
        ]
        if let error = error as? HTTPClientError, timeouts.contains(error) {
            return .json(["error": "upstream_timeout"], status: .gatewayTimeout)
        }
        return .json(["error": "upstream_unavailable"], status: .badGateway)
    }
}
