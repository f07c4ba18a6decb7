import Cloakroom

/// The parameters of a query in `application/x-www-form-urlencoded`, read strictly: what is malformed, too long or stands
/// there twice is refused, not guessed at (RFC 6749 §3.1).
struct QueryParameters {
    static let maximumLength = 8192
    static let maximumCount = 32

    private var values: [String: String] = [:]

    /// - Parameter maximumLength: the longest query that is read, in bytes.
    /// - Returns: `nil` when the query is malformed or too large, or when it repeats a parameter.
    init?(_ query: String?, maximumLength: Int = Self.maximumLength) {
        guard let query, !query.isEmpty else { return }
        guard query.utf8.count <= maximumLength else { return nil }
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentCoding.decodeForm(parts[0]),
                let value = PercentCoding.decodeForm(parts.count > 1 ? parts[1] : ""),
                values.count < Self.maximumCount, values.updateValue(value, forKey: name) == nil
            else { return nil }
        }
    }

    subscript(name: String) -> String? { values[name] }
}
