/// Whether two identifiers are the same to the byte.
///
/// Swift's `==` takes canonically equivalent texts for equal: `é` as one scalar and as `e` with an accent. To a provider
/// they are two users (OpenID Connect Core §14: no normalization, compared code point by code point).
func sameBytes(_ left: String?, _ right: String?) -> Bool {
    guard let left, let right else { return false }
    return left.utf8.elementsEqual(right.utf8)
}

extension Sequence<String> {
    /// Whether one of these is the same to the byte.
    func containsBytes(of text: String) -> Bool { contains { sameBytes($0, text) } }
}
