import CloakroomHummingbird

/// The path and query of a request for the upstream, taken as they came once nothing in them can lead elsewhere.
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
        pathAndQuery = target
    }

    private static func isHarmless(_ segment: Substring) -> Bool {
        var bytes = Array(segment.utf8)
        // Three rounds, as some upstreams decode more than once.
        for round in 0..<3 {
            let name = bytes.prefix { $0 != UInt8(ascii: ";") }
            if name.elementsEqual(".".utf8) || name.elementsEqual("..".utf8) { return false }
            guard let decoded = percentDecoded(bytes) else { return round > 0 }
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

    private static func percentDecoded(_ bytes: [UInt8]) -> [UInt8]? {
        var out: [UInt8] = []
        var input = bytes.makeIterator()
        while let byte = input.next() {
            guard byte == UInt8(ascii: "%") else {
                out.append(byte)
                continue
            }
            guard let high = input.next().flatMap(hexValue), let low = input.next().flatMap(hexValue) else {
                return nil
            }
            out.append(high << 4 | low)
        }
        return out
    }
}
