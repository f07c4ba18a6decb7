import Cloakroom
import CloakroomHTTP1

/// The path and query of a request for the upstream, taken as they came once nothing in them can lead elsewhere.
///
/// Only what a URI can't hold (RFC 3986 appendix A) but clients send all the same, such as `[`, `|` and stray percent signs,
/// is escaped: upstreams would choose for themselves how.
struct UpstreamPath: Equatable {
    static let maximumLength = 8192

    let pathAndQuery: String

    /// - Parameter target: the request target as the client sent it.
    /// - Returns: `nil` when it is not a plain path below `/api`, or has something in it that an upstream might read as
    ///   another path: `.` and `..` segments, encoded or not and with parameters after them, encoded slashes, backslashes,
    ///   control characters, broken percent-encodings.
    init?(_ target: String) {
        guard target.utf8.count <= Self.maximumLength, target.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            !target.contains("#")
        else { return nil }
        let path = target.prefix { $0 != "?" }
        guard path == "/api" || path.hasPrefix("/api/"), !path.contains("\\") else { return nil }
        for segment in path.split(separator: "/") {
            guard Self.isHarmless(segment) else { return nil }
        }
        pathAndQuery = Self.escaped(target)
    }

    /// Whether the target is a path below `/api` that can go on as it came, as far as a look at its bytes tells: nearly all
    /// are. Of one that is not so plain, the initializer decides.
    static func isPlain(_ head: RequestHead) -> Bool {
        let target = head.target
        guard target.count <= maximumLength, target.count >= 4 else { return false }
        return head.fields.withBytes { bytes in
            var index = target.lowerBound + 4
            guard Octets.equal(bytes, target.lowerBound..<index, exactly: "/api"),
                index == target.upperBound || bytes[index] == UInt8(ascii: "/") || bytes[index] == UInt8(ascii: "?")
            else { return false }
            while index < target.upperBound, bytes[index] != UInt8(ascii: "?") {
                // Escapes, parameters, and segments that begin with a dot are for a closer look.
                guard !isUnusual(bytes[index]), bytes[index] != UInt8(ascii: "%"), bytes[index] != UInt8(ascii: ";"),
                    bytes[index] != UInt8(ascii: ".") || bytes[index - 1] != UInt8(ascii: "/")
                else { return false }
                index += 1
            }
            while index < target.upperBound {
                guard !isUnusual(bytes[index]) else { return false }
                if bytes[index] == UInt8(ascii: "%") {
                    guard index + 2 < target.upperBound, PercentCoding.hexValue(bytes[index + 1]) != nil,
                        PercentCoding.hexValue(bytes[index + 2]) != nil
                    else { return false }
                }
                index += 1
            }
            return true
        }
    }

    private static func isUnusual(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "["), UInt8(ascii: "\\"),
            UInt8(ascii: "]"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "|"),
            UInt8(ascii: "}"), UInt8(ascii: "#"):
            true
        default: false
        }
    }

    private static let unfit = Set("\"<>[\\]^`{|}".utf8)

    private static func escaped(_ target: String) -> String {
        let bytes = Array(target.utf8)
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count)
        for (index, byte) in bytes.enumerated() {
            let isStrayPercent =
                byte == UInt8(ascii: "%")
                && bytes[(index + 1)...].prefix(2).compactMap(PercentCoding.hexValue).count < 2
            if isStrayPercent || unfit.contains(byte) {
                out += "%\(Hex.encode([byte]).uppercased())".utf8
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func isHarmless(_ segment: Substring) -> Bool {
        var bytes = Array(segment.utf8)
        // Three rounds, as some upstreams decode more than once.
        for round in 0..<3 {
            let name = bytes.prefix { $0 != UInt8(ascii: ";") }
            if name.elementsEqual(".".utf8) || name.elementsEqual("..".utf8) { return false }
            guard let decoded = PercentCoding.decode(bytes) else { return round > 0 }
            if decoded == bytes { return true }
            let forbidden = decoded.contains {
                $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 < 0x20 || $0 == 0x7F
            }
            if forbidden { return false }
            bytes = decoded
        }
        let name = bytes.prefix { $0 != UInt8(ascii: ";") }
        return !name.elementsEqual(".".utf8) && !name.elementsEqual("..".utf8)
    }
}
