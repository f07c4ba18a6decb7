import CloakroomHTTP
import CloakroomHTTP1
import HTTPTypes
import NIOCore

/// Cookies in the bytes of a head: what ``CloakroomHTTP`` does with text, on the path of every request.
enum CookieBytes {
    private static let reservedNames: [[UInt8]] = CookieSettings.reservedNames.map { Array($0.utf8) }

    /// What is said of one cookie.
    enum Lookup: Equatable {
        case absent, refused
        case value(Range<Int>)
    }

    /// Finds a cookie by its exact name; see ``CookieLookup``.
    static func find(_ name: [UInt8], in fields: FieldLines, _ bytes: UnsafeRawBufferPointer) -> Lookup {
        var found: Range<Int>?
        var count = 0
        for line in fields.lines where Octets.equal(bytes, line.name, lowercase: "cookie") {
            count += line.value.count
            guard count <= HTTPFields.maximumCookieBytes else { return .refused }
            var isTwice = false
            forEachPair(bytes, line.value) { pair in
                guard pair.count > name.count, bytes[pair.lowerBound + name.count] == UInt8(ascii: "="),
                    Octets.equal(bytes, pair.lowerBound..<pair.lowerBound + name.count, name)
                else { return }
                if found != nil { isTwice = true }
                found = pair.lowerBound + name.count + 1..<pair.upperBound
            }
            if isTwice { return .refused }
        }
        return found.map { .value($0) } ?? .absent
    }

    /// Writes a `Cookie` field with the request's cookies without the gateway's own, if any is left.
    static func write(_ fields: FieldLines, _ bytes: UnsafeRawBufferPointer, into out: inout ByteBuffer) {
        var isFirst = true
        for line in fields.lines where Octets.equal(bytes, line.name, lowercase: "cookie") {
            forEachPair(bytes, line.value) { pair in
                guard !pair.isEmpty, !isReserved(bytes, pair) else { return }
                out.writeStaticString(isFirst ? "Cookie: " : "; ")
                isFirst = false
                out.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[pair]))
            }
        }
        if !isFirst { out.writeStaticString("\r\n") }
    }

    /// Whether a browser could send back what this `Set-Cookie` sets as a cookie of ours: it returns one without a name,
    /// `=a=b`, as `a=b` (RFC 6265bis §5.8.3).
    static func setsReserved(_ bytes: UnsafeRawBufferPointer, _ value: Range<Int>) -> Bool {
        var start = value.lowerBound
        while start < value.upperBound, " \t=".utf8.contains(bytes[start]) { start += 1 }
        var end = start
        while end < value.upperBound, bytes[end] != UInt8(ascii: "="), bytes[end] != UInt8(ascii: ";") { end += 1 }
        return isReservedName(bytes, Octets.trimmed(bytes, start..<end))
    }

    private static func isReserved(_ bytes: UnsafeRawBufferPointer, _ pair: Range<Int>) -> Bool {
        var end = pair.lowerBound
        while end < pair.upperBound, bytes[end] != UInt8(ascii: "=") { end += 1 }
        return isReservedName(bytes, Octets.trimmed(bytes, pair.lowerBound..<end))
    }

    private static func isReservedName(_ bytes: UnsafeRawBufferPointer, _ name: Range<Int>) -> Bool {
        reservedNames.contains { Octets.equal(bytes, name, $0) }
    }

    @inline(__always)
    private static func forEachPair(
        _ bytes: UnsafeRawBufferPointer, _ value: Range<Int>, _ body: (Range<Int>) -> Void
    ) {
        var start = value.lowerBound
        while start < value.upperBound {
            var end = start
            while end < value.upperBound, bytes[end] != UInt8(ascii: ";") { end += 1 }
            body(Octets.trimmed(bytes, start..<end))
            start = end + 1
        }
    }
}
