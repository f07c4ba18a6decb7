import CloakroomHTTP1
import NIOCore
import NIOHPACK

/// Heads of HTTP/2 as those of HTTP/1.1 and back, so that one parser and one filter judge every request and response.
enum HTTP2Head {
    /// The request, written as HTTP/1.1 writes it and then read as strictly as if it had come so.
    ///
    /// Nothing is taken from the codec on trust: which fields there may be is checked here (RFC 9113 §8.2, §8.3).
    ///
    /// - Parameter isWhole: whether there is no body.
    static func request(
        _ headers: HPACKHeaders, isWhole: Bool, _ limits: HTTP1Limits, _ allocator: ByteBufferAllocator
    ) throws(HTTP1Failure) -> RequestHead {
        var start = Start()
        var out = allocator.buffer(capacity: 1024)
        var (hasStarted, hasLength) = (false, false)
        for (name, value, _) in headers {
            guard name.utf8.first != UInt8(ascii: ":") else {
                // They come before all others.
                guard !hasStarted else { throw .malformed(.fieldName) }
                try start.take(name, value)
                continue
            }
            if !hasStarted { try start.write(into: &out) }
            hasStarted = true
            switch name {
            case "host":
                // Two names for one request are one too many, unless they are the same.
                guard let authority = start.authority else { break }
                guard value == authority else { throw .malformed(.host) }
                continue
            case "content-length":
                guard !hasLength else { throw .malformed(.contentLength) }
                hasLength = true
                if isWhole { continue }
            case "connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection":
                throw .malformed(.fieldName)
            case "te":
                guard value == "trailers" else { throw .malformed(.fieldValue) }
                continue
            default: break
            }
            try write(name, value, into: &out)
            guard out.readableBytes <= limits.head else { throw .headTooLarge }
        }
        if !hasStarted { try start.write(into: &out) }
        if !isWhole && !hasLength { out.writeStaticString("transfer-encoding: chunked\r\n") }
        out.writeStaticString("\r\n")
        return try RequestHead(parsing: out, limits)
    }

    /// The pseudo-header fields of a request (RFC 9113 §8.3.1).
    private struct Start {
        var method: String?
        var scheme: String?
        var path: String?
        var authority: String?

        mutating func take(_ name: String, _ value: String) throws(HTTP1Failure) {
            switch name {
            case ":method": try Self.set(&method, value)
            case ":scheme": try Self.set(&scheme, value)
            case ":path": try Self.set(&path, value)
            case ":authority": try Self.set(&authority, value)
            default: throw .malformed(.fieldName)
            }
        }

        private static func set(_ field: inout String?, _ value: String) throws(HTTP1Failure) {
            guard field == nil else { throw .malformed(.fieldName) }
            field = value
        }

        func write(into out: inout ByteBuffer) throws(HTTP1Failure) {
            guard let method, let path, scheme != nil else { throw .malformed(.target) }
            let start = out.writerIndex
            out.writeString(method)
            out.writeStaticString(" ")
            out.writeString(path)
            // Neither may hold what would end the line; the parser looks at the rest.
            guard isFieldValue(out, from: start) else { throw .malformed(.target) }
            out.writeStaticString(" HTTP/1.1\r\n")
            if let authority { try HTTP2Head.write("host", authority, into: &out) }
        }
    }

    private static func write(_ name: String, _ value: String, into out: inout ByteBuffer) throws(HTTP1Failure) {
        let start = out.writerIndex
        out.writeString(name)
        guard isFieldName(out, from: start) else { throw .malformed(.fieldName) }
        out.writeStaticString(": ")
        let valueStart = out.writerIndex
        out.writeString(value)
        guard isFieldValue(out, from: valueStart) else { throw .malformed(.fieldValue) }
        out.writeStaticString("\r\n")
    }

    /// Whether what was written since is a name in lower case.
    private static func isFieldName(_ out: ByteBuffer, from start: Int) -> Bool {
        guard out.writerIndex > start else { return false }
        return out.withUnsafeReadableBytes { bytes in
            for byte in bytes[(start - out.readerIndex)...] {
                guard Octets.isToken(byte), Octets.lowercased(byte) == byte else { return false }
            }
            return true
        }
    }

    /// Whether what was written since may stand in a field's value.
    private static func isFieldValue(_ out: ByteBuffer, from start: Int) -> Bool {
        out.withUnsafeReadableBytes { Octets.areFieldValue($0, start - out.readerIndex, $0.count) }
    }

    /// The upstream's response, with what may pass of it and the gateway's own fields.
    ///
    /// - Parameter isInterim: whether another follows, so that the gateway's own fields can wait for that.
    static func response(
        _ head: ResponseHead, _ forwarded: ForwardedHead, _ security: SecurityFieldBytes, isInterim: Bool = false
    ) -> HPACKHeaders {
        var headers = HPACKHeaders()
        headers.reserveCapacity(head.fields.lines.count + 10)
        headers.add(name: ":status", value: String(head.status))
        let missing = forwarded.forEachField(head) { bytes, line in
            let name = String(unsafeUninitializedCapacity: line.name.count) { text in
                for (offset, index) in line.name.enumerated() { text[offset] = Octets.lowercased(bytes[index]) }
                return line.name.count
            }
            let value = String(decoding: UnsafeRawBufferPointer(rebasing: bytes[line.value]), as: UTF8.self)
            headers.add(name: name, value: value)
        }
        guard !isInterim else { return headers }
        // What came with a user's token is that user's alone (ASVS 14.3.2).
        headers.add(name: "cache-control", value: "no-store")
        for (name, value) in security.fields(missing) { headers.add(name: name, value: value) }
        if let length = head.contentLength, head.status != 204 {
            headers.add(name: "content-length", value: String(length))
        }
        return headers
    }

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
