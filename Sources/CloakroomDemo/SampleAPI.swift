import AsyncHTTPClient
import Foundation
import HTTPTypes
import Hummingbird
import JWTKit
import Logging
import NIOCore
import ServiceLifecycle

/// The API behind the demo's gateway: it trusts nothing but a bearer token that the identity provider signed.
struct SampleAPI: Service {
    let port: Int
    let issuer: String
    let audience: String
    let logger: Logger
    var onServerRunning: @Sendable (_ port: Int) async -> Void = { _ in }

    private struct Caller: Encodable {
        let sub: String
        let username: String?
        let name: String?
        let email: String?
        let roles: [String]
        let client: String?
        let token_expires_in: Int
    }

    func run() async throws {
        let verifier = BearerVerifier(issuer: issuer, audience: audience, client: .shared, logger: logger)
        let router = Router()
        router.get("/api/hello") { _, _ in
            try Self.json(["message": "Hello from the sample API. Who are you? Ask /api/whoami."])
        }
        router.get("/api/whoami") { request, _ -> Response in
            do {
                let claims = try await verifier.verify(authorization: request.headers[.authorization])
                let caller = Caller(
                    sub: claims.sub, username: claims.preferred_username, name: claims.name, email: claims.email,
                    roles: claims.realm_access?.roles ?? [], client: claims.azp,
                    token_expires_in: max(0, Int(claims.exp.value.timeIntervalSinceNow)))
                return try Self.json(caller)
            } catch is BearerVerifier.Refusal {
                var response = try Self.json(["error": "invalid_token"], status: .unauthorized)
                response.headers[.wwwAuthenticate] = "Bearer error=\"invalid_token\""
                return response
            } catch {
                logger.warning(
                    "The sample API can't fetch the identity provider's keys", metadata: ["error": "\(error)"])
                return try Self.json(["error": "keys_unavailable"], status: .serviceUnavailable)
            }
        }
        let application = Application(
            router: router,
            configuration: .init(address: .hostname("127.0.0.1", port: port), serverName: "sample-api"),
            onServerRunning: { await onServerRunning($0.localAddress?.port ?? port) },
            logger: logger)
        try await application.run()
    }

    private static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(bytes: try encoder.encode(value))))
    }
}
