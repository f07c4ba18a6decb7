import CloakroomHTTP
import CloakroomHTTP1
import NIOCore

/// Writes heads for the other side: a client's request for the upstream, and the upstream's response for the client.
///
/// What may pass is copied as it came; the rest is left out, and what the gateway has to say follows it, so that nothing in
/// a client's `Connection` can strip it.
struct ForwardedHead: Sendable {
    private let hostField: [UInt8]
    private let publicFields: [UInt8]
    private let isSecure: Bool

    init(target: UpstreamTarget, publicURL: PublicURL) {
        hostField = target.hostField
        publicFields = Array(
            "X-Forwarded-Proto: \(publicURL.scheme)\r\nX-Forwarded-Host: \(publicURL.authority)\r\n".utf8)
        isSecure = publicURL.isSecure
    }

    /// Writes the request's head.
    ///
    /// - Parameters:
    ///   - path: the target, if it is not the client's.
    func write(_ request: GatewayRequest, path: String?, accessToken: String, into out: inout ByteBuffer) {
        let head = request.head
        let hasTrace = request.trace.parent != nil
        let listed = head.listsConnectionFields ? ConnectionList(head.fields) : nil
        head.fields.withBytes { bytes in
            out.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[head.methodRange]))
            out.writeStaticString(" ")
            if let path {
                out.writeString(path)
            } else {
                out.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[head.target]))
            }
            out.writeStaticString(" HTTP/1.1\r\n")
            out.writeBytes(hostField)
            var hasCookies = false
            copy(head.fields, bytes, into: &out) { line in
                switch FieldNames.inward(bytes, line.name) {
                case .drop: return false
                case .cookie:
                    hasCookies = true
                    return false
                case .trace: return hasTrace && listed?.contains(bytes, line.name) != true
                case .pass: return listed?.contains(bytes, line.name) != true
                }
            }
            if hasCookies { CookieBytes.write(head.fields, bytes, into: &out) }
        }
        out.writeStaticString("Authorization: Bearer ")
        out.writeString(accessToken)
        out.writeStaticString("\r\n")
        if !request.address.bytes.isEmpty {
            out.writeStaticString("X-Forwarded-For: ")
            out.writeBytes(request.address.bytes)
            out.writeStaticString("\r\n")
        }
        out.writeStaticString("X-Request-Id: ")
        request.number.write(into: &out)
        if !hasTrace {
            // The trace begins here, and is not sampled, as no span of it is recorded here.
            out.writeStaticString("\r\ntraceparent: 00-")
            request.number.write(into: &out)
            out.writeStaticString("-")
            request.number.writeConnection(into: &out)
            out.writeStaticString("-00")
        }
        out.writeStaticString("\r\n")
        out.writeBytes(publicFields)
        switch head.framing {
        case .length(let length):
            out.writeStaticString("Content-Length: ")
            out.writeDecimal(length)
            out.writeStaticString("\r\n\r\n")
        case .chunked:
            out.writeStaticString("Transfer-Encoding: chunked\r\n\r\n")
        case .none, .untilClose:
            // Where a body is usual, its absence is said (RFC 9110 §8.6).
            switch head.method {
            case .post, .put, .patch: out.writeStaticString("Content-Length: 0\r\n\r\n")
            default: out.writeStaticString("\r\n")
            }
        }
    }

    /// Writes the response's status line and those of its fields that may pass, without the end of the head.
    ///
    /// - Returns: which of the security fields are missing.
    func write(_ head: ResponseHead, into out: inout ByteBuffer) -> SecurityFieldBytes.Missing {
        let missing = writeFields(head, into: &out)
        // What came with a user's token is that user's alone (ASVS 14.3.2).
        out.writeStaticString("Cache-Control: no-store\r\n")
        return missing
    }

    /// Writes the status line and the fields that may pass, and nothing of the gateway's own.
    func writeFields(_ head: ResponseHead, into out: inout ByteBuffer) -> SecurityFieldBytes.Missing {
        var filter = ResponseFilter(head, isSecure: isSecure)
        head.fields.withBytes { bytes in
            out.writeStaticString("HTTP/1.1 ")
            out.writeDecimal(head.status)
            out.writeStaticString(" ")
            out.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[head.reason]))
            out.writeStaticString("\r\n")
            copy(head.fields, bytes, into: &out) { filter.passes(bytes, $0) }
        }
        return filter.missing
    }

    /// Calls `body` with each of the response's fields that may pass.
    ///
    /// - Returns: which of the security fields are missing.
    func forEachField(
        _ head: ResponseHead, _ body: (UnsafeRawBufferPointer, FieldLines.Line) -> Void
    ) -> SecurityFieldBytes.Missing {
        var filter = ResponseFilter(head, isSecure: isSecure)
        head.fields.withBytes { bytes in
            for line in head.fields.lines where filter.passes(bytes, line) { body(bytes, line) }
        }
        return filter.missing
    }

    /// Copies the lines that pass, those that follow one another in one piece.
    @inline(__always)
    private func copy(
        _ fields: FieldLines, _ bytes: UnsafeRawBufferPointer, into out: inout ByteBuffer,
        _ passes: (FieldLines.Line) -> Bool
    ) {
        var start: Int?
        for line in fields.lines {
            if passes(line) {
                if start == nil { start = line.name.lowerBound }
            } else if let first = start {
                out.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[first..<line.name.lowerBound]))
                start = nil
            }
        }
        // Up to the empty line.
        if let start { out.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[start..<bytes.count - 2])) }
    }
}

/// Says which of a response's fields may pass, and notes which of the security fields are among them.
private struct ResponseFilter {
    private let listed: ConnectionList?
    private let isSecure: Bool
    var missing = SecurityFieldBytes.Missing()

    init(_ head: ResponseHead, isSecure: Bool) {
        listed = head.listsConnectionFields ? ConnectionList(head.fields) : nil
        self.isSecure = isSecure
    }

    @inline(__always)
    mutating func passes(_ bytes: UnsafeRawBufferPointer, _ line: FieldLines.Line) -> Bool {
        if let listed, listed.contains(bytes, line.name) { return false }
        switch FieldNames.outward(bytes, line.name, isSecure: isSecure) {
        case .drop: return false
        case .pass: return true
        case .setCookie: return !CookieBytes.setsReserved(bytes, line.value)
        case .referrerPolicy:
            missing.referrerPolicy = false
            return true
        case .contentSecurityPolicy:
            missing.note(policy: bytes, line.value)
            return true
        }
    }
}

extension ByteBuffer {
    /// Writes a number in decimal digits.
    mutating func writeDecimal(_ number: Int) {
        precondition(number >= 0)
        var rest = number
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        withUnsafeMutableBytes(of: &digits) { digits in
            var index = digits.count
            repeat {
                index -= 1
                digits[index] = 0x30 + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            writeBytes(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digits)[index...]))
        }
    }

    /// Writes a number in hexadecimal digits, as the size of a chunk.
    mutating func writeHexadecimal(_ number: Int) {
        precondition(number >= 0)
        var shift = number == 0 ? 0 : (63 - number.leadingZeroBitCount) / 4 * 4
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: number >> shift) & 15
            writeInteger(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
            shift -= 4
        }
    }
}
