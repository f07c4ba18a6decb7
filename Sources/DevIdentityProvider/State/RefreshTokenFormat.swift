/// Refresh tokens that carry their grant and their number in it, sealed by a MAC. So a token that was used before is
/// known as such without a list of all old ones.
struct RefreshTokenFormat: Sendable {
    private let key = MACKey()

    func token(for grant: Grant) -> String {
        let content = "\(grant.id).\(grant.generation)"
        return "\(content).\(key.tag(content))"
    }

    /// - Returns: `nil` when this provider did not make the token.
    func read(_ token: String) -> (grantID: String, generation: Int)? {
        let parts = token.split(separator: ".", maxSplits: 3)
        guard parts.count == 3, let generation = Int(parts[1]),
            key.isValid(String(parts[2]), for: "\(parts[0]).\(parts[1])")
        else { return nil }
        return (String(parts[0]), generation)
    }
}
