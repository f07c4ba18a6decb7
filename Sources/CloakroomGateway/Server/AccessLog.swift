import CloakroomHTTP
import HTTPTypes
import Logging

/// One line a request: what was asked, what was answered, how long it took. Never a query, a cookie or a token.
///
/// The time is that until the response begins; a body may stream for longer.
enum AccessLog {
    static func write(
        _ head: HTTPRequest, route: GatewayRoute?, status: HTTPResponse.Status, since start: ContinuousClock.Instant,
        _ context: GatewayContext
    ) {
        var metadata: Logger.Metadata = [
            "method": "\(head.method.rawValue)",
            "path": "\((head.pathWithoutQuery ?? "").prefix(256))",
            "route": "\(route?.name ?? "none")",
            "status": "\(status.code)",
            "duration_ms": "\((ContinuousClock.now - start).milliseconds)",
        ]
        if let handle = context.session.handle { metadata["session"] = "\(handle)" }
        context.logger.info("Request", metadata: metadata)
    }
}

extension Duration {
    /// Milliseconds with three digits after the point.
    fileprivate var milliseconds: String {
        let microseconds = components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
        let fraction = String(microseconds % 1000)
        return "\(microseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
