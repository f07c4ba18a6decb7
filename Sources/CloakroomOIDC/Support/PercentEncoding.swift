/// Parameters of a URL's query or of a form, in the order in which they are sent.
struct Parameters: Sendable, ExpressibleByDictionaryLiteral {
    private var pairs: [(name: String, value: String)] = []

    init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { append(name, value) }
    }

    mutating func append(_ name: String, _ value: String) { pairs.append((name, value)) }

    /// The parameters as `application/x-www-form-urlencoded`, which is what OAuth uses in queries and bodies alike
    /// (RFC 6749 appendix B).
    var encoded: String {
        pairs.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }.joined(separator: "&")
    }

    /// `url` with these parameters after those that it has already (RFC 6749 §3.1). The URL must have no fragment.
    func appended(to url: String) -> String {
        let separator =
            switch url.last {
            case "?", "&": ""
            default: url.contains("?") ? "&" : "?"
            }
        return url + separator + encoded
    }
}

/// Escapes all but the unreserved characters of RFC 3986 §2.3.
///
/// A space becomes `%20` and not `+`: form decoders take both, plain URL decoders only this one.
package func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var out = [UInt8]()
    out.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            out.append(byte)
        default:
            out.append(UInt8(ascii: "%"))
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
    }
    return String(decoding: out, as: UTF8.self)
}
