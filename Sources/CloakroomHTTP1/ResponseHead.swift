package import NIOCore

/// The head of a response.
package struct ResponseHead: Sendable {
    /// The status, 100 to 599.
    package let status: Int
    /// The bytes of the reason phrase; often empty.
    package let reason: Range<Int>
    /// The fields, and the bytes that all ranges are of.
    package let fields: FieldLines
    /// How the body is delimited.
    package let framing: BodyFraming
    /// The length that it gives, whether or not there is a body of that length, as there is none for `HEAD`.
    package let contentLength: Int?
    /// Whether the connection can carry another exchange after this one.
    package let keepsAlive: Bool
    /// Whether any `Connection` field lists something else than `close` and `keep-alive`.
    package let listsConnectionFields: Bool

    /// Whether another response follows to the same request (RFC 9110 §15.2).
    package var isInterim: Bool { status < 200 }
}

extension ResponseHead {
    /// Reads a head that stands alone, from its first byte to the end of its empty line.
    package init(parsing bytes: ByteBuffer) throws(HTTP1Failure) {
        var lines: [FieldLines.Line] = []
        self = try ResponseHeadParser.parse(bytes, HTTP1Limits(), toHead: false, reusing: &lines)
    }
}

enum ResponseHeadParser {
    static func parse(
        _ buffer: ByteBuffer, _ limits: HTTP1Limits, toHead: Bool, reusing lines: inout [FieldLines.Line]
    ) throws(HTTP1Failure) -> ResponseHead {
        lines.removeAll(keepingCapacity: true)
        let result = buffer.withUnsafeReadableBytes { bytes -> Result<Parts, HTTP1Failure> in
            Result { () throws(HTTP1Failure) in
                var parts = try Parts(bytes)
                try FieldParser.parse(bytes, from: parts.next, most: limits.fields, into: &lines)
                for line in lines { try parts.common.take(line, bytes) }
                return parts
            }
        }
        let parts = try result.get()
        let framing = try parts.framing(toHead: toHead)
        return ResponseHead(
            status: parts.status, reason: parts.reason, fields: FieldLines(bytes: buffer, lines: lines),
            framing: framing, contentLength: parts.common.contentLength,
            keepsAlive: parts.common.isHTTP11 && !parts.common.closes && framing != .untilClose,
            listsConnectionFields: parts.common.listsConnectionFields)
    }

    private struct Parts {
        let status: Int
        let reason: Range<Int>
        let next: Int
        var common: FramingFields

        /// `HTTP/1.x SP 3DIGIT [SP reason]`
        init(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Failure) {
            guard bytes.count >= 14, bytes[8] == Octets.space else { throw .malformed(.startLine) }
            switch UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)) {
            case 0x4854_5450_2F31_2E31: common = FramingFields(isHTTP11: true)
            case 0x4854_5450_2F31_2E30: common = FramingFields(isHTTP11: false)
            default: throw .malformed(.version)
            }
            guard let status = Octets.decimal(bytes, 9..<12), (100...599).contains(status) else {
                throw .malformed(.startLine)
            }
            self.status = status
            guard let feed = memoryIndex(of: Octets.lineFeed, in: bytes, from: 12),
                bytes[feed - 1] == Octets.carriageReturn
            else { throw .malformed(.lineEnd) }
            next = feed + 1
            // Some servers leave the space out with the phrase.
            guard feed - 1 > 12 else {
                reason = 12..<12
                return
            }
            guard bytes[12] == Octets.space, Octets.areFieldValue(bytes, 13, feed - 1) else {
                throw .malformed(.startLine)
            }
            reason = 13..<feed - 1
        }

        /// RFC 9112 §6.3; what it calls an error that may be an attack is one here.
        func framing(toHead: Bool) throws(HTTP1Failure) -> BodyFraming {
            try common.check()
            if toHead || status < 200 || status == 204 || status == 304 { return .none }
            if common.isChunked { return .chunked }
            guard let contentLength = common.contentLength else { return .untilClose }
            return contentLength == 0 ? .none : .length(contentLength)
        }
    }
}
