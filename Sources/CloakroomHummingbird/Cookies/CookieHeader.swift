package import HTTPTypes

/// What a request's `Cookie` fields say about one name.
package enum CookieLookup: Sendable, Equatable {
    /// No such cookie.
    case absent
    /// Exactly one.
    case value(String)
    /// More than one of that name, or more cookies than anyone should send. Which of two is ours can't be known: a
    /// sibling domain may have set the other one (RFC 6265 §8.6), so neither counts.
    case refused
}

extension HTTPFields {
    /// The most that all `Cookie` fields together may hold, in bytes.
    package static var maximumCookieBytes: Int { 16_384 }

    /// Finds a cookie (RFC 6265 §4.2.1) by its exact name.
    package func cookie(named name: String) -> CookieLookup {
        var found: String?
        var bytes = 0
        for field in self[values: .cookie] {
            bytes += field.utf8.count
            guard bytes <= Self.maximumCookieBytes else { return .refused }
            for pair in field.split(separator: ";") {
                let pair = pair.trimmingOptionalWhitespace()
                guard let equals = pair.firstIndex(of: "="), pair[..<equals] == name else { continue }
                guard found == nil else { return .refused }
                found = String(pair[pair.index(after: equals)...])
            }
        }
        return found.map { .value($0) } ?? .absent
    }

    /// The fields' cookies without those of these names, as one field value; `nil` when none is left.
    package func cookies(without names: Set<String>) -> String? {
        let kept = self[values: .cookie].joined(separator: "; ").split(separator: ";").filter { pair in
            !names.contains(String(pair.prefix { $0 != "=" }.trimmingOptionalWhitespace()))
        }
        return kept.isEmpty ? nil : kept.map { $0.trimmingOptionalWhitespace() }.joined(separator: "; ")
    }
}

extension Substring {
    /// This text without spaces and tabs around it (RFC 9110 §5.6.3).
    package func trimmingOptionalWhitespace() -> Substring {
        let rest = drop { $0 == " " || $0 == "\t" }
        guard let last = rest.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
        return rest[...last]
    }
}
