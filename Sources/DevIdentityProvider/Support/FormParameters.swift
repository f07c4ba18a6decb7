/// The parameters of a query or of a form body (`application/x-www-form-urlencoded`).
struct FormParameters: Sendable {
    /// No parameter that this provider knows is longer.
    static let maximumValueLength = 8192
    private static let maximumCount = 64

    private var values: [String: String] = [:]
    /// Names that came more than once, which OAuth forbids (RFC 6749 §3.1, §3.2).
    private(set) var repeated: Set<String> = []

    /// - Returns: `nil` when an escape is broken, text is not UTF-8, or a limit is passed.
    init?(_ text: some StringProtocol) {
        for pair in text.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = FormEncoding.decode(halves[0]),
                let value = FormEncoding.decode(halves.dropFirst().first ?? ""),
                value.utf8.count <= Self.maximumValueLength, values.count < Self.maximumCount
            else { return nil }
            if values.updateValue(value, forKey: name) != nil {
                repeated.insert(name)
            }
        }
    }

    /// The value of a parameter; one without a value counts as left out (RFC 6749 §3.1).
    subscript(name: String) -> String? {
        values[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// Percent-encoding as forms and queries use it.
enum FormEncoding {
    /// - Returns: `nil` at a broken escape or when the result is not UTF-8.
    static func decode(_ text: some StringProtocol) -> String? {
        var bytes = [UInt8]()
        var iterator = text.utf8.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "+"):
                bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(hexValue), let low = iterator.next().flatMap(hexValue) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            default:
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Escapes everything but RFC 3986's unreserved characters.
    static func encode(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                out += hex.count == 1 ? "%0" + hex : "%" + hex
            }
        }
        return out
    }

    /// `uri` with parameters added to its query; those without a value are left out.
    static func appending(_ parameters: [(String, String?)], to uri: String) -> String {
        let query = parameters.compactMap { name, value in value.map { "\(name)=\(encode($0))" } }
        guard !query.isEmpty else { return uri }
        return uri + (uri.contains("?") ? "&" : "?") + query.joined(separator: "&")
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
