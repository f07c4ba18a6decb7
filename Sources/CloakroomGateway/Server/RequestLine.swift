import Cloakroom
import CloakroomHTTP1
import Foundation

/// Writes the lines of the access log for one event loop: the same as ``LineLogHandler`` would write from metadata, from the
/// request's bytes and without a string for each part.
final class RequestLine {
    private static let longestPath = 256

    private let format: GatewaySettings.LogFormat
    private let label: [UInt8]
    /// The second that `clock` is of.
    private var second = Int.min
    private var clock: [UInt8] = []

    /// - Parameter label: the logger's; nothing in it may need to be escaped.
    init(format: GatewaySettings.LogFormat, label: String) {
        self.format = format
        self.label = Array(label.utf8)
    }

    /// Appends the line for a request to `lines`.
    ///
    /// - Parameter microseconds: how long it took until its response began.
    func write(
        _ request: GatewayRequest, status: Int, microseconds: Int64, _ now: Date, into lines: inout [UInt8]
    ) {
        let isJSON = format == .json
        if isJSON {
            lines.add("{\"time\":\"")
            addTime(now, &lines)
            lines.add("\",\"level\":\"info\",\"logger\":\"")
            lines += label
            lines.add("\",\"message\":\"Request\"")
        } else {
            addTime(now, &lines)
            lines.add(" INFO Request")
        }
        let (before, between, after): (StaticString, StaticString, StaticString) =
            isJSON ? (",\"", "\":\"", "\"") : (" ", "=", "")
        func member(_ name: StaticString, _ value: (inout [UInt8]) -> Void) {
            lines.add(before)
            lines.add(name)
            lines.add(between)
            value(&lines)
            lines.add(after)
        }
        request.head.fields.withBytes { bytes in
            if let id = request.trace.requestID {
                member("client_request_id") { $0.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[id])) }
            }
            member("duration_ms") {
                $0.addDecimal(Int(microseconds / 1000))
                $0.append(UInt8(ascii: "."))
                $0.addDecimal(Int(microseconds % 1000), digits: 3)
            }
            member("method") {
                $0.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[request.head.methodRange]))
            }
            member("path") {
                let path = GatewayRequest.path(request.head, bytes)
                addPath(UnsafeRawBufferPointer(rebasing: bytes[path].prefix(Self.longestPath)), &$0)
            }
        }
        member("request_id") { request.number.write(into: &$0) }
        member("route") { $0 += (request.route?.name ?? "none").utf8 }
        if let handle = request.handle { member("session") { $0 += handle.description.utf8 } }
        member("status") { $0.addDecimal(status) }
        if let trace = request.trace.traceID {
            request.head.fields.withBytes { bytes in
                member("trace_id") { $0.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[trace])) }
            }
        }
        lines.add(isJSON ? "}\n" : "\n")
    }

    private func addTime(_ now: Date, _ lines: inout [UInt8]) {
        let milliseconds = Int((now.timeIntervalSince1970 * 1000).rounded(.down))
        if milliseconds / 1000 != second {
            second = milliseconds / 1000
            clock = Array(Timestamp.format(now).utf8)
        }
        lines += clock
        lines.append(UInt8(ascii: "."))
        lines.addDecimal(milliseconds % 1000, digits: 3)
        lines.append(UInt8(ascii: "Z"))
    }

    /// Visible ASCII, as the target is.
    private func addPath(_ path: UnsafeRawBufferPointer, _ lines: inout [UInt8]) {
        let quote = UInt8(ascii: "\""), backslash = UInt8(ascii: "\\")
        let isText = format == .text
        var (needsEscapes, needsQuotes) = (false, path.isEmpty)
        for byte in path {
            if byte == quote || byte == backslash { needsEscapes = true }
            if byte == UInt8(ascii: "=") { needsQuotes = true }
        }
        let isQuoted = isText && (needsEscapes || needsQuotes)
        if isQuoted { lines.append(quote) }
        if needsEscapes {
            for byte in path {
                if byte == quote || byte == backslash { lines.append(backslash) }
                lines.append(byte)
            }
        } else {
            lines.append(contentsOf: path)
        }
        if isQuoted { lines.append(quote) }
    }
}

extension [UInt8] {
    fileprivate mutating func add(_ text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// - Parameter digits: at least this many.
    fileprivate mutating func addDecimal(_ number: Int, digits: Int = 1) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(0x30 + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }
}
