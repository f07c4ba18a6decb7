import Cloakroom

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
            guard let name = PercentCoding.decodeForm(halves[0]),
                let value = PercentCoding.decodeForm(halves.dropFirst().first ?? ""),
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

/// Addresses with parameters.
enum FormEncoding {
    /// `uri` with parameters added to its query; those without a value are left out.
    static func appending(_ parameters: [(String, String?)], to uri: String) -> String {
        let query = parameters.compactMap { name, value in value.map { "\(name)=\(PercentCoding.encode($0))" } }
        guard !query.isEmpty else { return uri }
        return uri + (uri.contains("?") ? "&" : "?") + query.joined(separator: "&")
    }
}
