import Cloakroom
import CloakroomHTTP1
import Foundation
import Logging
import NIOCore

/// One line a request: what was asked, what was answered, how long it took. Never a query, a cookie or a token.
///
/// The time is that until the response begins; a body may stream for longer. Each event loop has one. Where the log is ours,
/// the line is written without a dictionary of metadata, which for most requests would take longer than to forward them, and
/// lines are gathered for a moment, as loops that take turns at the log's lock would wait for one another.
final class AccessLog {
    private static let pause = TimeAmount.milliseconds(25)
    private static let most = 65_536

    private let logger: Logger
    private let loop: any EventLoop
    private let isWritten: Bool
    private let line: RequestLine?
    private let handler: LineLogHandler?
    private var lines: [UInt8] = []
    private var isFlushDue = false

    init(logger: Logger, loop: any EventLoop) {
        self.logger = logger
        self.loop = loop
        isWritten = logger.logLevel <= .info
        handler = logger.handler as? LineLogHandler
        line = handler?.requestLine
    }

    /// - Parameter nanoseconds: how long it took until the response began.
    func write(_ request: GatewayRequest, status: Int, nanoseconds: Int64) {
        guard isWritten else { return }
        let microseconds = nanoseconds / 1000
        if let line {
            line.write(request, status: status, microseconds: microseconds, Date(), into: &lines)
            return gather()
        }
        let path = request.head.fields.withBytes { GatewayRequest.path(request.head, $0) }
        var metadata: Logger.Metadata = [
            "duration_ms": "\(Double(microseconds) / 1000)", "method": "\(request.method)",
            "path": "\(request.head.fields.text(path).prefix(256))", "request_id": "\(request.id)",
            "route": "\(request.route?.name ?? "none")", "status": "\(status)",
        ]
        if let id = request.trace.requestID { metadata["client_request_id"] = "\(request.head.fields.text(id))" }
        if let trace = request.trace.traceID { metadata["trace_id"] = "\(request.head.fields.text(trace))" }
        if let handle = request.handle { metadata["session"] = "\(handle)" }
        logger.info("Request", metadata: metadata)
    }

    /// Hands on all lines.
    func flush() {
        guard !lines.isEmpty, let handler else { return }
        handler.write(lines: lines)
        lines.removeAll(keepingCapacity: true)
    }

    private func gather() {
        // Who takes each line at once gets it at once.
        guard handler?.isBuffered == true, lines.count < Self.most else { return flush() }
        guard !isFlushDue else { return }
        isFlushDue = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: Self.pause) {
            bound.value.isFlushDue = false
            bound.value.flush()
        }
    }
}
