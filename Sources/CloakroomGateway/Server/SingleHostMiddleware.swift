import CloakroomHummingbird
import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1

/// Refuses a request that names two hosts, which two servers could take for two different ones (RFC 9112 §3.2).
///
/// It throws what the parser throws at other ambiguities, so that the server answers 400 and closes the connection.
/// Therefore it must stand outside of ``FailureMiddleware``.
struct SingleHostMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    func handle(
        _ request: Request, context: GatewayContext, next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        // The first one has become the request's authority.
        guard !request.headers.contains(.secondHost) else {
            context.logger.notice("Refused a request with two Host fields")
            throw HTTPParserError.invalidHeaderToken
        }
        return try await next(request, context)
    }
}

extension HTTPField.Name {
    fileprivate static var secondHost: Self { .known("Host") }
}
