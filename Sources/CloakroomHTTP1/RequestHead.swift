package import NIOCore

/// How a message's body is delimited (RFC 9112 §6.3).
package enum BodyFraming: Sendable, Equatable {
    /// There is none.
    case none
    /// It has this many bytes.
    case length(Int)
    /// It comes in chunks.
    case chunked
    /// It ends when the connection does; responses alone.
    case untilClose
}

/// The head of a request that was found well-formed in every respect that this codec knows.
package struct RequestHead: Sendable {
    /// The methods of RFC 9110 and RFC 5789; others are known by their bytes alone.
    package enum Method: Sendable, Equatable {
        case get, head, post, put, patch, delete, options, connect, trace, other
    }

    /// The method.
    package let method: Method
    /// The bytes of the method.
    package let methodRange: Range<Int>
    /// The bytes of the request target, visible ASCII.
    package let target: Range<Int>
    /// Whether it is HTTP/1.1 rather than HTTP/1.0.
    package let isHTTP11: Bool
    /// The fields, and the bytes that all ranges are of.
    package let fields: FieldLines
    /// How the body is delimited.
    package let framing: BodyFraming
    /// Whether the connection can serve another request after this one.
    package let keepsAlive: Bool
    /// Whether the client waits to be asked for the body (RFC 9110 §10.1.1).
    package let expectsContinue: Bool
    /// Whether it has an `Upgrade` field.
    package let wantsUpgrade: Bool
    /// Whether any `Connection` field lists something else than `close` and `keep-alive`.
    package let listsConnectionFields: Bool
    /// Whether what follows the request is of another protocol, or not, as the answer decides: nothing after it can be read.
    package var asksForAnotherProtocol: Bool { wantsUpgrade || method == .connect }
    /// The bytes of the `Host` field's value; empty if there is none, which HTTP/1.0 allows.
    package let host: Range<Int>

    /// The whole head's bytes.
    package var bytes: ByteBuffer { fields.bytes }
}

extension RequestHead {
    /// Reads a head that stands alone, from its first byte to the end of its empty line.
    package init(parsing bytes: ByteBuffer, _ limits: HTTP1Limits = HTTP1Limits()) throws(HTTP1Failure) {
        var lines: [FieldLines.Line] = []
        self = try RequestHeadParser.parse(bytes, limits, reusing: &lines)
    }
}

/// Reads a request's head. It refuses whatever another server might read otherwise.
enum RequestHeadParser {
    /// - Parameters:
    ///   - buffer: the head, from its first byte to the end of its empty line.
    ///   - lines: storage to use again.
    static func parse(
        _ buffer: ByteBuffer, _ limits: HTTP1Limits, reusing lines: inout [FieldLines.Line]
    ) throws(HTTP1Failure) -> RequestHead {
        lines.removeAll(keepingCapacity: true)
        let result = buffer.withUnsafeReadableBytes { bytes -> Result<Parts, HTTP1Failure> in
            Result { () throws(HTTP1Failure) in
                let start = try startLine(bytes)
                try FieldParser.parse(bytes, from: start.next, most: limits.fields, into: &lines)
                var parts = Parts(start: start)
                for line in lines { try parts.take(line, bytes) }
                try parts.finish(bytes)
                return parts
            }
        }
        let parts = try result.get()
        return RequestHead(
            method: parts.start.method, methodRange: parts.start.methodRange, target: parts.start.target,
            isHTTP11: parts.start.isHTTP11, fields: FieldLines(bytes: buffer, lines: lines), framing: parts.framing,
            keepsAlive: parts.start.isHTTP11 && !parts.common.closes, expectsContinue: parts.expectsContinue,
            wantsUpgrade: parts.wantsUpgrade, listsConnectionFields: parts.common.listsConnectionFields,
            host: parts.host ?? 0..<0)
    }

    struct StartLine {
        let method: RequestHead.Method
        let methodRange: Range<Int>
        let target: Range<Int>
        let isHTTP11: Bool
        let next: Int
    }

    private static func startLine(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Failure) -> StartLine {
        var index = 0
        while Octets.isToken(bytes[index]) { index += 1 }
        let method = 0..<index
        guard !method.isEmpty, bytes[index] == Octets.space else { throw .malformed(.startLine) }
        // Reserved for what it begins (RFC 9113 §11.6): some readers wait for the rest of that.
        guard !Octets.equal(bytes, method, exactly: "PRI") else { throw .malformed(.http2) }
        index += 1
        let targetStart = index
        // Visible ASCII; the head ends with CR LF, so that this does.
        while (0x21...0x7E).contains(bytes[index]) { index += 1 }
        let target = targetStart..<index
        guard !target.isEmpty else { throw .malformed(.target) }
        guard bytes[index] == Octets.space else { throw .malformed(.target) }
        index += 1
        // "HTTP/1.1" and the end of the line.
        guard bytes.count >= index + 10, bytes[index + 8] == Octets.carriageReturn,
            bytes[index + 9] == Octets.lineFeed
        else { throw .malformed(.version) }
        let version = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        let isHTTP11: Bool
        switch UInt64(bigEndian: version) {
        case 0x4854_5450_2F31_2E31: isHTTP11 = true
        case 0x4854_5450_2F31_2E30: isHTTP11 = false
        case 0x4854_5450_2F32_2E30: throw .malformed(.http2)
        default: throw .malformed(.version)
        }
        return StartLine(
            method: kind(bytes, method), methodRange: method, target: target, isHTTP11: isHTTP11, next: index + 10)
    }

    /// Methods are case-sensitive.
    private static func kind(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> RequestHead.Method {
        func matches(_ text: StaticString) -> Bool {
            for offset in 0..<range.count where bytes[range.lowerBound + offset] != text.utf8Start[offset] {
                return false
            }
            return true
        }
        switch range.count {
        case 3: return matches("GET") ? .get : matches("PUT") ? .put : .other
        case 4: return matches("HEAD") ? .head : matches("POST") ? .post : .other
        case 5: return matches("PATCH") ? .patch : matches("TRACE") ? .trace : .other
        case 6: return matches("DELETE") ? .delete : .other
        case 7: return matches("OPTIONS") ? .options : matches("CONNECT") ? .connect : .other
        default: return .other
        }
    }

    struct Parts {
        let start: StartLine
        var common: FramingFields
        var host: Range<Int>?
        var expectsContinue = false
        var wantsUpgrade = false
        var framing = BodyFraming.none

        init(start: StartLine) {
            self.start = start
            common = FramingFields(isHTTP11: start.isHTTP11)
        }

        mutating func take(_ line: FieldLines.Line, _ bytes: UnsafeRawBufferPointer) throws(HTTP1Failure) {
            switch line.name.count {
            case 4 where Octets.equal(bytes, line.name, lowercase: "host"):
                guard host == nil, HostText.isValid(bytes, line.value) else { throw .malformed(.host) }
                host = line.value
            case 6 where Octets.equal(bytes, line.name, lowercase: "expect"):
                guard Octets.equal(bytes, line.value, lowercase: "100-continue") else { throw .unsupportedExpectation }
                expectsContinue = true
            case 7 where Octets.equal(bytes, line.name, lowercase: "upgrade"):
                wantsUpgrade = true
            default: try common.take(line, bytes)
            }
        }

        mutating func finish(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Failure) {
            guard host != nil || !start.isHTTP11 else { throw .malformed(.host) }
            try common.check()
            if start.method == .connect {
                // It has no content: what follows is for the tunnel (RFC 9110 §9.3.6).
                framing = .none
            } else if common.isChunked {
                framing = .chunked
            } else if let contentLength = common.contentLength {
                framing = contentLength == 0 ? .none : .length(contentLength)
            }
            // A client that can be asked for the body only speaks HTTP/1.1.
            if !start.isHTTP11 || framing == .none { expectsContinue = false }
        }
    }
}

/// What may stand in a `Host` field: `uri-host [":" port]` (RFC 9110 §7.2), and never nothing.
enum HostText {
    static func isValid(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        guard !range.isEmpty, range.count <= 300 else { return false }
        var index = range.lowerBound
        if bytes[index] == UInt8(ascii: "[") {
            index += 1
            while index < range.upperBound, isAddressByte(bytes[index]) { index += 1 }
            guard index < range.upperBound, bytes[index] == UInt8(ascii: "]") else { return false }
            index += 1
        } else {
            let start = index
            while index < range.upperBound, isNameByte(bytes[index]) { index += 1 }
            guard index > start else { return false }
        }
        guard index < range.upperBound else { return true }
        guard bytes[index] == Octets.colon else { return false }
        index += 1
        guard (0...5).contains(range.upperBound - index) else { return false }
        return bytes[index..<range.upperBound].allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "%"):
            true
        default: false
        }
    }

    private static func isAddressByte(_ byte: UInt8) -> Bool {
        Octets.hexValue(byte) != nil || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
    }
}
