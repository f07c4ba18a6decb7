import Cloakroom
import CloakroomHTTP1
import Foundation

/// Writes the lines of the access log for one event loop: the same as ``LineLogHandler`` would write from metadata, from the
/// request's bytes and without a string for each part.
final class RequestLine {
    private static let longestPath = 256

    private let format: GatewaySettings.LogFormat
    private let label: [UInt8]
    private var line: [UInt8] = []
    /// The second that `clock` is of.
    private var second = Int.min
    private var clock: [UInt8] = []

    /// - Parameter label: the logger's; nothing in it may need to be escaped.
    init(format: GatewaySettings.LogFormat, label: String) {
        self.format = format
        self.label = Array(label.utf8)
        line.reserveCapacity(512)
    }

    /// The line for a request.
    ///
    /// - Parameter microseconds: how long it took until its response began.
    func text(_ request: GatewayRequest, status: Int, microseconds: Int64, _ now: Date) -> String {
        line.removeAll(keepingCapacity: true)
        let isJSON = format == .json
        if isJSON {
            add("{\"time\":\"")
            addTime(now)
            add("\",\"level\":\"info\",\"logger\":\"")
            line += label
            add("\",\"message\":\"Request\"")
        } else {
            addTime(now)
            add(" INFO Request")
        }
        request.head.fields.withBytes { bytes in
            begin("duration_ms")
            addNumber(Int(microseconds / 1000))
            line.append(UInt8(ascii: "."))
            addNumber(Int(microseconds % 1000), digits: 3)
            end()
            begin("method")
            line.append(contentsOf: bytes[request.head.methodRange])
            end()
            begin("path")
            let path = GatewayRequest.path(request.head, bytes)
            addPath(UnsafeRawBufferPointer(rebasing: bytes[path].prefix(Self.longestPath)))
            end()
        }
        begin("request_id")
        request.number.write(into: &line)
        end()
        begin("route")
        line += (request.route?.name ?? "none").utf8
        end()
        if let handle = request.handle {
            begin("session")
            line += handle.description.utf8
            end()
        }
        begin("status")
        addNumber(status)
        end()
        add(isJSON ? "}\n" : "\n")
        return String(decoding: line, as: UTF8.self)
    }

    private func add(_ text: StaticString) {
        line.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private func begin(_ name: StaticString) {
        add(format == .json ? ",\"" : " ")
        add(name)
        add(format == .json ? "\":\"" : "=")
    }

    private func end() { if format == .json { line.append(UInt8(ascii: "\"")) } }

    private func addNumber(_ number: Int, digits: Int = 1) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            line.append(0x30 + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }

    private func addTime(_ now: Date) {
        let milliseconds = Int((now.timeIntervalSince1970 * 1000).rounded(.down))
        if milliseconds / 1000 != second {
            second = milliseconds / 1000
            clock = Array(Timestamp.format(now).utf8)
        }
        line += clock
        line.append(UInt8(ascii: "."))
        addNumber(milliseconds % 1000, digits: 3)
        line.append(UInt8(ascii: "Z"))
    }

    /// Visible ASCII, as the target is.
    private func addPath(_ path: UnsafeRawBufferPointer) {
        let quote = UInt8(ascii: "\""), backslash = UInt8(ascii: "\\")
        let isText = format == .text
        let isQuoted =
            isText && (path.isEmpty || path.contains { $0 == quote || $0 == backslash || $0 == UInt8(ascii: "=") })
        if isQuoted { line.append(quote) }
        for byte in path {
            if byte == quote || byte == backslash { line.append(backslash) }
            line.append(byte)
        }
        if isQuoted { line.append(quote) }
    }
}
