import CloakroomHTTP1
import NIOCore
import NIOHPACK

/// Heads of HTTP/2 as those of HTTP/1.1 and back, so that one parser and one filter judge every request and response.
enum HTTP2Head {
    /// The request, written as HTTP/1.1 writes it and then read as strictly as if it had come so.
    ///
    /// The pseudo-header fields are there and once each: the codec has seen to that (RFC 9113 §8.3.1).
    ///
    /// - Parameter isWhole: whether there is no body.
    static func request(
        _ headers: HPACKHeaders, isWhole: Bool, _ limits: HTTP1Limits, _ allocator: ByteBufferAllocator
    ) throws(HTTP1Failure) -> RequestHead {
        var out = allocator.buffer(capacity: 1024)
        guard let method = headers.first(name: ":method"), let path = headers.first(name: ":path") else {
            throw .malformed(.target)
        }
        let authority = headers.first(name: ":authority")
        out.writeString(method)
        out.writeStaticString(" ")
        out.writeString(path)
        out.writeStaticString(" HTTP/1.1\r\n")
        // Neither may hold what would end the line.
        guard isFieldValue(method), isFieldValue(path) else { throw .malformed(.target) }
        if let authority { try write("host", authority, into: &out) }
        var hasLength = false
        for (name, value, _) in headers {
            guard !name.hasPrefix(":") else { continue }
            switch name {
            case "host":
                // Two names for one request are one too many, unless they are the same.
                guard let authority else { break }
                guard value == authority else { throw .malformed(.host) }
                continue
            case "content-length":
                hasLength = true
                if isWhole { continue }
            case "connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection":
                throw .malformed(.fieldName)
            case "te": continue
            default: break
            }
            try write(name, value, into: &out)
            guard out.readableBytes <= limits.head else { throw .headTooLarge }
        }
        if !isWhole && !hasLength { out.writeStaticString("transfer-encoding: chunked\r\n") }
        out.writeStaticString("\r\n")
        return try RequestHead(parsing: out, limits)
    }

    private static func write(_ name: String, _ value: String, into out: inout ByteBuffer) throws(HTTP1Failure) {
        guard !name.isEmpty, name.utf8.allSatisfy(Octets.isToken) else { throw .malformed(.fieldName) }
        guard isFieldValue(value) else { throw .malformed(.fieldValue) }
        out.writeString(name)
        out.writeStaticString(": ")
        out.writeString(value)
        out.writeStaticString("\r\n")
    }

    private static func isFieldValue(_ text: String) -> Bool { text.utf8.allSatisfy(Octets.isFieldValue) }

    /// A response that was written as HTTP/1.1 writes it, by this gateway itself.
    static func response(_ bytes: ByteBuffer) throws(HTTP1Failure) -> HPACKHeaders {
        let head = try ResponseHead(parsing: bytes)
        var headers = HPACKHeaders([(":status", "\(head.status)")])
        headers.reserveCapacity(head.fields.lines.count + 1)
        for line in head.fields.lines {
            headers.add(name: head.fields.text(line.name).lowercased(), value: head.fields.text(line.value))
        }
        return headers
    }
}
