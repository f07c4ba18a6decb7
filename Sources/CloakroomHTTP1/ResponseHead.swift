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
                for line in lines { try parts.take(line, bytes) }
                return parts
            }
        }
        let parts = try result.get()
        let framing = try parts.framing(toHead: toHead)
        return ResponseHead(
            status: parts.status, reason: parts.reason, fields: FieldLines(bytes: buffer, lines: lines),
            framing: framing, contentLength: parts.contentLength,
            keepsAlive: parts.isHTTP11 && !parts.closes && framing != .untilClose,
            listsConnectionFields: parts.listsConnectionFields)
    }

    private struct Parts {
        let status: Int
        let reason: Range<Int>
        let isHTTP11: Bool
        let next: Int
        var contentLength: Int?
        var isChunked = false
        var closes = false
        var listsConnectionFields = false

        /// `HTTP/1.x SP 3DIGIT [SP reason]`
        init(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Failure) {
            guard bytes.count >= 14, bytes[8] == Octets.space else { throw .malformed(.startLine) }
            switch UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)) {
            case 0x4854_5450_2F31_2E31: isHTTP11 = true
            case 0x4854_5450_2F31_2E30: isHTTP11 = false
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

        mutating func take(_ line: FieldLines.Line, _ bytes: UnsafeRawBufferPointer) throws(HTTP1Failure) {
            switch line.name.count {
            case 10 where Octets.equal(bytes, line.name, lowercase: "connection"):
                Octets.forEachMember(bytes, line.value) { member in
                    if Octets.equal(bytes, member, lowercase: "close") {
                        closes = true
                    } else if !member.isEmpty, !Octets.equal(bytes, member, lowercase: "keep-alive") {
                        listsConnectionFields = true
                    }
                }
            case 14 where Octets.equal(bytes, line.name, lowercase: "content-length"):
                guard contentLength == nil, let length = Octets.decimal(bytes, line.value) else {
                    throw .malformed(.contentLength)
                }
                contentLength = length
            case 17 where Octets.equal(bytes, line.name, lowercase: "transfer-encoding"):
                guard isHTTP11, !isChunked else { throw .malformed(.transferEncoding) }
                guard Octets.equal(bytes, line.value, lowercase: "chunked") else { throw .unsupportedCoding }
                isChunked = true
            default: break
            }
        }

        /// RFC 9112 §6.3; what it calls an error that may be an attack is one here.
        func framing(toHead: Bool) throws(HTTP1Failure) -> BodyFraming {
            guard !isChunked || contentLength == nil else { throw .malformed(.contentLength) }
            if toHead || status < 200 || status == 204 || status == 304 { return .none }
            if isChunked { return .chunked }
            guard let contentLength else { return .untilClose }
            return contentLength == 0 ? .none : .length(contentLength)
        }
    }
}
