/// The fields that say where a message ends and whether its connection goes on, which requests and responses have in common.
struct FramingFields {
    let isHTTP11: Bool
    private(set) var contentLength: Int?
    private(set) var isChunked = false
    private(set) var closes = false
    private(set) var listsConnectionFields = false

    init(isHTTP11: Bool) { self.isHTTP11 = isHTTP11 }

    @inline(__always)
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
            // Anything but "chunked" alone and once: the last coding of a request must be it, and no other is served.
            guard isHTTP11, !isChunked else { throw .malformed(.transferEncoding) }
            guard Octets.equal(bytes, line.value, lowercase: "chunked") else {
                throw Self.isOtherCoding(bytes, line.value) ? .unsupportedCoding : .malformed(.transferEncoding)
            }
            isChunked = true
        default: break
        }
    }

    /// Two ways to say where a body ends are one too many (RFC 9112 §6.3).
    func check() throws(HTTP1Failure) {
        guard !isChunked || contentLength == nil else { throw .malformed(.contentLength) }
    }

    /// Whether it is one coding that exists, as RFC 9112 §7 has them, rather than something that may hide `chunked`.
    private static func isOtherCoding(_ bytes: UnsafeRawBufferPointer, _ value: Range<Int>) -> Bool {
        Octets.equal(bytes, value, lowercase: "gzip") || Octets.equal(bytes, value, lowercase: "x-gzip")
            || Octets.equal(bytes, value, lowercase: "compress")
            || Octets.equal(bytes, value, lowercase: "x-compress")
            || Octets.equal(bytes, value, lowercase: "deflate")
    }
}
