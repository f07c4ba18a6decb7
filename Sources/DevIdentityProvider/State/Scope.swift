/// The scopes that were granted, out of those that this provider knows. Unknown ones are ignored (RFC 6749 §3.3).
struct Scope: Sendable, Equatable {
    static let supported = ["openid", "profile", "email"]

    let names: [String]

    init(_ text: String) {
        let asked = Set(text.split(separator: " ").map(String.init))
        names = Self.supported.filter(asked.contains)
    }

    var text: String { names.joined(separator: " ") }
    func contains(_ name: String) -> Bool { names.contains(name) }
    func isSubset(of other: Scope) -> Bool { names.allSatisfy(other.contains) }
}
