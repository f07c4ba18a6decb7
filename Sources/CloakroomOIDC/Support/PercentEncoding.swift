import Cloakroom

/// Parameters of a URL's query or of a form, in the order in which they are sent.
struct Parameters: Sendable, ExpressibleByDictionaryLiteral {
    private var pairs: [(name: String, value: String)] = []

    init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { append(name, value) }
    }

    mutating func append(_ name: String, _ value: String) { pairs.append((name, value)) }

    /// Whether there is one of this name.
    func contains(_ name: String) -> Bool { pairs.contains { $0.name == name } }

    /// The parameters as `application/x-www-form-urlencoded`, which is what OAuth uses in queries and bodies alike
    /// (RFC 6749 appendix B).
    var encoded: String {
        pairs.map { "\(PercentCoding.encode($0.name))=\(PercentCoding.encode($0.value))" }.joined(separator: "&")
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
