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
    ///
    /// By bytes, as browsers do. To Swift's characters, U+037E (the Greek question mark) equals the semicolon: with it in a
    /// cookie of their own, a sibling domain could smuggle in one named `__Host-…`.
    package func cookie(named name: String) -> CookieLookup {
        var found: String?
        var bytes = 0
        for field in self[values: .cookie] {
            bytes += field.utf8.count
            guard bytes <= Self.maximumCookieBytes else { return .refused }
            for pair in field.utf8.split(separator: UInt8(ascii: ";")) {
                let pair = pair.trimmingOptionalWhitespace()
                guard let equals = pair.firstIndex(of: UInt8(ascii: "=")), pair[..<equals].elementsEqual(name.utf8)
                else { continue }
                guard found == nil else { return .refused }
                found = String(Substring(pair[pair.index(after: equals)...]))
            }
        }
        return found.map { .value($0) } ?? .absent
    }

    /// The fields' cookies without those of these names, as one field value; `nil` when none is left.
    package func cookies(without names: Set<String>) -> String? {
        let kept = self[values: .cookie].flatMap { $0.utf8.split(separator: UInt8(ascii: ";")) }.filter { pair in
            let name = pair.prefix { $0 != UInt8(ascii: "=") }.trimmingOptionalWhitespace()
            return !names.contains(String(Substring(name)))
        }
        guard !kept.isEmpty else { return nil }
        return kept.map { String(Substring($0.trimmingOptionalWhitespace())) }.joined(separator: "; ")
    }
}

extension Substring.UTF8View {
    /// These bytes without spaces and tabs around them (RFC 9110 §5.6.3).
    package func trimmingOptionalWhitespace() -> Self {
        let rest = drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        guard let last = rest.lastIndex(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }) else {
            return rest[rest.endIndex...]
        }
        return rest[...last]
    }
}
