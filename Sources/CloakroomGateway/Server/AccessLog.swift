import Cloakroom
import CloakroomHTTP1
import Foundation
import Logging
import NIOCore
import Synchronization

/// One line a request: what was asked, what was answered, how long it took. Never a query, a cookie or a token.
///
/// The time is that until the response begins; a body may stream for longer. Where the log is ours, the line is written
/// without a dictionary of metadata: for most requests that would take longer than to forward them.
struct AccessLog: Sendable {
    private static let longestPath = 256

    private let logger: Logger
    private let isWritten: Bool
    private let lines: LineLogHandler?

    init(logger: Logger) {
        self.logger = logger
        isWritten = logger.logLevel <= .info
        lines = (logger.handler as? LineLogHandler).flatMap { $0.isPlain ? $0 : nil }
    }

    func write(_ request: GatewayRequest, status: Int) {
        guard isWritten else { return }
        let microseconds = (NIODeadline.now() - request.began).nanoseconds / 1000
        let path = request.head.fields.withBytes { bytes in
            let range = GatewayRequest.path(request.head, bytes)
            return String(
                decoding: UnsafeRawBufferPointer(rebasing: bytes[range].prefix(Self.longestPath)), as: UTF8.self)
        }
        let members = [
            ("duration_ms", Self.milliseconds(microseconds)), ("method", request.method), ("path", path),
            ("request_id", request.id), ("route", request.route?.name ?? "none"),
            ("session", request.handle?.description ?? ""), ("status", "\(status)"),
        ]
        guard let lines else {
            var metadata: Logger.Metadata = [:]
            for (name, value) in members where name != "session" || !value.isEmpty { metadata[name] = "\(value)" }
            return logger.info("Request", metadata: metadata)
        }
        lines.writeRequest(members.filter { $0.0 != "session" || !$0.1.isEmpty })
    }

    /// Milliseconds with three digits after the point.
    static func milliseconds(_ microseconds: Int64) -> String {
        let fraction = String(microseconds % 1000)
        return "\(microseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
