import Cloakroom
import Crypto

/// What binds logins to the browser that began them: 256 random bits in a cookie of their own.
struct LoginBinding: Sendable, Equatable {
    private static let byteCount = 32

    let secret: String
    /// The random bits.
    let key: SymmetricKey

    init() {
        key = SymmetricKey(size: .bits256)
        secret = key.withUnsafeBytes { Base64URL.encode(Array($0)) }
    }

    /// Takes the binding of a login that began in another tab, if it is one of ours by its form.
    init?(_ text: String) {
        guard text.utf8.count == 43, let bytes = Base64URL.decode(text), bytes.count == Self.byteCount else {
            return nil
        }
        secret = text
        key = SymmetricKey(data: bytes)
    }
}
