import CloakroomHummingbird
import HTTPTypes
import Hummingbird
import Logging

/// One line a request: what was asked, what was answered, how long it took. Never a query, a cookie or a token.
///
/// The time is that until the response begins; a body may stream for longer.
struct AccessLogMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let replicaName: String?

    func handle(
        _ request: Request, context: GatewayContext, next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response = try await next(request, context)
        if let replicaName { response.headers[.cloakroomReplica] = replicaName }
        let duration = ContinuousClock.now - start
        var metadata: Logger.Metadata = [
            "method": "\(request.method.rawValue)",
            "path": "\(request.uri.path.prefix(256))",
            "route": "\(context.endpointPath ?? "none")",
            "status": "\(response.status.code)",
            "duration_ms": "\(duration.milliseconds)",
        ]
        if let handle = context.session.handle { metadata["session"] = "\(handle)" }
        context.logger.info("Request", metadata: metadata)
        return response
    }
}

extension HTTPField.Name {
    static var cloakroomReplica: Self { .known("X-Cloakroom-Replica") }
}

extension Duration {
    /// Milliseconds with three digits after the point.
    fileprivate var milliseconds: String {
        let microseconds = components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
        let fraction = String(microseconds % 1000)
        return "\(microseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
