import Cloakroom
import Crypto

/// Makes and compares what must not be guessed.
enum Secrets {
    /// 256 bits from the system's generator, as base64url (43 characters).
    static func random() -> String {
        randomText()
    }

    /// Compares by digest, whose comparison takes the same time wherever the difference is.
    static func equal(_ left: String, _ right: String) -> Bool {
        SHA256.hash(data: Array(left.utf8)) == SHA256.hash(data: Array(right.utf8))
    }

    /// Base64url without padding (RFC 4648 §5).
    static func base64URL(_ bytes: some Sequence<UInt8>) -> String { Base64URL.encode(Array(bytes)) }

    /// The base64url SHA-256 of a text, as PKCE's `S256` wants it (RFC 7636 §4.2).
    static func sha256(_ text: String) -> String {
        base64URL(SHA256.hash(data: Array(text.utf8)))
    }
}

/// A key that seals what a browser carries for us, made anew at each start.
struct MACKey: Sendable {
    private let key = SymmetricKey(size: .bits256)

    func tag(_ message: String) -> String {
        Secrets.base64URL(HMAC<SHA256>.authenticationCode(for: Array(message.utf8), using: key))
    }

    func isValid(_ tag: String, for message: String) -> Bool {
        Secrets.equal(tag, self.tag(message))
    }
}
