import Cloakroom
import CloakroomHTTP1
import Foundation
import Logging
import NIOCore

/// One line a request: what was asked, what was answered, how long it took. Never a query, a cookie or a token.
///
/// The time is that until the response begins; a body may stream for longer. Each event loop has one. Where the log is ours,
/// the line is written without a dictionary of metadata: for most requests that would take longer than to forward them.
final class AccessLog {
    private let logger: Logger
    private let isWritten: Bool
    private let line: RequestLine?
    private let write: (@Sendable (String) -> Void)?

    init(logger: Logger) {
        self.logger = logger
        isWritten = logger.logLevel <= .info
        let handler = logger.handler as? LineLogHandler
        line = handler?.requestLine
        write = handler?.write
    }

    func write(_ request: GatewayRequest, status: Int) {
        guard isWritten else { return }
        let microseconds = (NIODeadline.now() - request.began).nanoseconds / 1000
        if let line, let write {
            return write(line.text(request, status: status, microseconds: microseconds, Date()))
        }
        let path = request.head.fields.withBytes { GatewayRequest.path(request.head, $0) }
        var metadata: Logger.Metadata = [
            "duration_ms": "\(Double(microseconds) / 1000)", "method": "\(request.method)",
            "path": "\(request.head.fields.text(path).prefix(256))", "request_id": "\(request.id)",
            "route": "\(request.route?.name ?? "none")", "status": "\(status)",
        ]
        if let handle = request.handle { metadata["session"] = "\(handle)" }
        logger.info("Request", metadata: metadata)
    }
}
