import AsyncHTTPClient
import Cloakroom
import CloakroomHTTP
import CloakroomOIDC
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

/// `/api/**`: forwards requests of logged-in users to the upstream, with their access token.
struct UpstreamProxy: Sendable {
    /// Scheme, host and port.
    let upstream: String
    let publicURL: PublicURL
    let requestGuard: RequestGuard
    let client: HTTPClient
    let places: UpstreamPlaces
    /// How long the upstream may take until its response begins.
    let timeout: TimeAmount
    let refresher: TokenRefresher
    let events: SessionEvents

    init(
        upstreamURL: String, publicURL: PublicURL, client: HTTPClient, settings: UpstreamSettings,
        refresher: TokenRefresher, events: SessionEvents
    ) {
        places = UpstreamPlaces(
            limit: settings.maximumConcurrent, perSession: settings.maximumConcurrentPerSession)
        timeout = TimeAmount(settings.timeout)
        upstream = upstreamURL.hasSuffix("/") ? String(upstreamURL.dropLast()) : upstreamURL
        self.publicURL = publicURL
        requestGuard = RequestGuard(publicURL: publicURL)
        self.client = client
        self.refresher = refresher
        self.events = events
    }

    func forward(_ request: Request, _ context: GatewayContext) async throws -> Response {
        if let refusal = requestGuard.refusal(ofAPIRequest: request.headers) {
            events.emit(SessionEvent(.denied(reason: refusal.rawValue)))
            return Response(.refused(refusal))
        }
        guard let path = UpstreamPath(request.head.path ?? "") else {
            return Response(.json(["error": "invalid_path"], status: .badRequest))
        }
        guard let live = try await context.session.current() else { return Response(.unauthenticated) }
        switch try await refresher.freshSession(live.session, for: live.id) {
        case .ended:
            context.session.forget()
            return Response(.unauthenticated)
        case .providerUnavailable(let retryAfter):
            return Response(
                .json(
                    ["error": "provider_unavailable"], status: .serviceUnavailable,
                    headers: [.retryAfter: "\(max(1, retryAfter.components.seconds + 1))"]))
        case .ready(let session):
            let connection = try await context.connection()
            // A client that hangs up waits no longer.
            let place = try await connection.whileConnected { [places] in try await places.take(for: live.id.handle) }
            guard let place else {
                context.logger.warning("Too many requests at the upstream", metadata: ["session": "\(live.id.handle)"])
                return Response(
                    .json(
                        ["error": "too_many_requests_at_upstream"], status: .serviceUnavailable,
                        headers: [.retryAfter: FailureAnswers.retryAfter]))
            }
            return try await send(
                request, to: path, token: session.tokens.accessToken, place, on: connection, context)
        }
    }

    private func send(
        _ request: Request, to path: UpstreamPath, token: String, _ place: UpstreamPlaces.Place,
        on connection: ClientConnection, _ context: GatewayContext
    ) async throws -> Response {
        var outgoing = HTTPClientRequest(url: upstream + path.pathAndQuery)
        outgoing.method = HTTPMethod(rawValue: request.method.rawValue)
        outgoing.headers = ProxyFields.request(
            request.headers,
            client: .init(remoteAddress: context.remoteAddress, publicURL: publicURL, accessToken: token))
        let upload = UploadBody(request.body, connection: connection)
        if let length = request.headers[.contentLength].flatMap(Int64.init) {
            if length > 0 { outgoing.body = .stream(upload, length: .known(length)) }
        } else if request.headers[.transferEncoding] != nil {
            outgoing.body = .stream(upload, length: .unknown)
        }
        do {
            let response = try await connection.whileConnected { [client, outgoing] in
                try await client.execute(outgoing, timeout: timeout)
            }
            let exchange = Exchange(response: response, upload: upload, connection: connection, place: place)
            return await Self.response(exchange, to: request)
        } catch {
            await upload.close()
            guard !connection.isHungUp else {
                // Nobody reads this answer, and the upstream did nothing wrong.
                context.logger.debug("The client hung up before the upstream had answered")
                return Response(.json(["error": "client_closed_request"], status: .badRequest))
            }
            return Self.failure(error, context)
        }
    }

    /// A response of the upstream that is on its way to the client.
    private struct Exchange: Sendable {
        let response: HTTPClientResponse
        let upload: UploadBody
        let connection: ClientConnection
        /// Held until the response is sent or given up.
        let place: UpstreamPlaces.Place
    }

    private static func response(_ exchange: Exchange, to request: Request) async -> Response {
        let upstream = exchange.response
        let headers = ProxyFields.response(upstream.headers)
        let status = HTTPResponse.Status(
            code: Int(upstream.status.code), reasonPhrase: upstream.status.reasonPhrase)
        // These have no body whatever their fields say (RFC 9112 §6.3).
        guard request.method != .head, status != .noContent, status != .notModified else {
            await exchange.upload.close()
            return Response(status: status, headers: headers)
        }
        let length = headers[.contentLength].flatMap(Int.init)
        return Response(
            status: status, headers: headers,
            body: ResponseBody(contentLength: length) { writer in
                // Only the task uses the writer until it has ended.
                nonisolated(unsafe) let shared = writer
                do {
                    try await exchange.connection.whileConnected {
                        var out = shared
                        for try await chunk in exchange.response.body { try await out.write(chunk) }
                    }
                } catch {
                    await exchange.upload.close()
                    throw error
                }
                await exchange.upload.close()
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
            return Response(.json(["error": "upstream_timeout"], status: .gatewayTimeout))
        }
        return Response(.json(["error": "upstream_unavailable"], status: .badGateway))
    }
}
