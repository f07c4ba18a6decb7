import Cloakroom
import CloakroomHTTP
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization

@testable import CloakroomGateway

/// An API that tells what it was sent.
final class UpstreamServer: Sendable {
    private let requests = Mutex(0)

    /// How many requests have reached it.
    var requestCount: Int { requests.withLock { $0 } }

    func run(ready: @escaping @Sendable (Int) async -> Void) async throws {
        let router = Router()
        router.add(middleware: Counter(upstream: self))
        for method in [HTTPRequest.Method.get, .post, .put, .delete] {
            router.on("/api/echo/**", method: method, use: Self.echo)
            router.on("/api/echo", method: method, use: Self.echo)
        }
        router.get("/api/redirect") { _, _ in Response.redirect(to: "https://elsewhere.example/x", type: .found) }
        router.get("/api/cookies") { _, _ in
            var response = Response(status: .ok, headers: [.accessControlAllowOrigin: "*"])
            response.headers.append(HTTPField(name: .setCookie, value: "mine=1"))
            response.headers.append(HTTPField(name: .setCookie, value: "cloakroom_session=evil"))
            return response
        }
        router.get("/api/status/:code") { _, context in
            Response(status: .init(code: Int(context.parameters.get("code") ?? "") ?? 500))
        }
        // Sends as much as it is read: the parts of a large body, each of its own.
        router.post("/api/stream") { request, _ in
            Response(status: .ok, body: .init(asyncSequence: request.body))
        }
        router.get("/api/nothing") { _, _ in Response(status: .noContent) }
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { await ready($0.localAddress?.port ?? 0) },
            logger: Logger(label: "upstream") { _ in SwiftLogNoOpLogHandler() })
        try await application.run()
    }

    @Sendable private static func echo(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let body = try await request.body.collect(upTo: 1 << 20)
        var headers: JSONObject = [:]
        for field in request.headers {
            let name = field.name.canonicalName
            headers[name] = .string([headers[name]?.string, field.value].compactMap { $0 }.joined(separator: "|"))
        }
        let answer = JSONValue.object([
            "method": .string(request.method.rawValue), "target": .string(request.head.path ?? ""),
            "headers": .object(headers), "body": .string(String(buffer: body)),
        ])
        return Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: answer.serialized)))
    }

    private struct Counter: RouterMiddleware {
        let upstream: UpstreamServer
        func handle(
            _ request: Request, context: BasicRequestContext,
            next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            upstream.requests.withLock { $0 += 1 }
            return try await next(request, context)
        }
    }
}
