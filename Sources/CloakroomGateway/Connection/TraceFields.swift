import CloakroomHTTP1
import NIOCore

/// What a request says of the trace and the request that it belongs to (W3C Trace Context; `X-Request-Id`).
///
/// It is whatever the client says: good for finding things in logs, and proof of nothing.
struct TraceFields: Sendable {
    /// The value of `traceparent`, if there is one and it is well-formed.
    private(set) var parent: Range<Int>?
    /// The value of `X-Request-Id`, if it can be written to a log as it is.
    private(set) var requestID: Range<Int>?

    init(_ fields: FieldLines) {
        var parents = 0
        fields.withBytes { bytes in
            for line in fields.lines {
                switch line.name.count {
                case 11 where Octets.equal(bytes, line.name, lowercase: "traceparent"):
                    parents += 1
                    if Self.isParent(bytes, line.value) { parent = line.value }
                case 12 where Octets.equal(bytes, line.name, lowercase: "x-request-id"):
                    requestID = Self.isRequestID(bytes, line.value) ? line.value : nil
                default: break
                }
            }
        }
        // Of two nobody can tell which counts.
        if parents > 1 { parent = nil }
    }

    /// The ID of the trace within ``parent``.
    var traceID: Range<Int>? { parent.map { $0.lowerBound + 3..<$0.lowerBound + 35 } }

    /// `version-trace-parent-flags` in lower-case hexadecimal digits, with IDs that are not zero (W3C Trace Context §3.2).
    private static func isParent(_ bytes: UnsafeRawBufferPointer, _ value: Range<Int>) -> Bool {
        guard value.count == 55 else { return false }
        let start = value.lowerBound
        func digits(_ range: Range<Int>) -> (areDigits: Bool, areZero: Bool) {
            var areZero = true
            for index in range {
                switch bytes[start + index] {
                case UInt8(ascii: "0"): break
                case UInt8(ascii: "1")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): areZero = false
                default: return (false, false)
                }
            }
            return (true, areZero)
        }
        guard [2, 35, 52].allSatisfy({ bytes[start + $0] == UInt8(ascii: "-") }) else { return false }
        // Version 00 alone has this length for sure; ff is none.
        guard bytes[start] == UInt8(ascii: "0"), bytes[start + 1] == UInt8(ascii: "0") else { return false }
        let (trace, parent) = (digits(3..<35), digits(36..<52))
        return trace.areDigits && !trace.areZero && parent.areDigits && !parent.areZero && digits(53..<55).areDigits
    }

    private static func isRequestID(_ bytes: UnsafeRawBufferPointer, _ value: Range<Int>) -> Bool {
        guard (1...64).contains(value.count) else { return false }
        return bytes[value].allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }
}
