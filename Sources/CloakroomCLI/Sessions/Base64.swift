import Cloakroom

/// Base64 as other programs write it (RFC 4648 §4), with or without padding.
enum Base64 {
    /// - Returns: `nil` for what is none.
    static func decode(_ text: String) -> [UInt8]? {
        guard !text.utf8.contains(where: { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }) else { return nil }
        return Base64URL.decode(text.replacing("+", with: "-").replacing("/", with: "_"))
    }
}
