import Cloakroom
import Crypto

import struct Foundation.Date

/// What the `state` parameter of a login holds: when the login began and where it returns to.
///
/// A version byte, then the AES-GCM nonce, ciphertext and tag, in base64url; the ciphertext is of the time in seconds as
/// eight bytes in network order, and the path. The key is derived from the login's cookie. 96 random bits and the tag make
/// each unguessable.
struct LoginState {
    private static let version: UInt8 = 1
    private static let timeSize = 8
    /// The longest, in characters.
    static let maximumLength = ((1 + 12 + timeSize + ReturnAddress.maximumLength + 16) * 4 + 2) / 3

    let began: Date
    let returnTo: ReturnAddress

    init(began: Date, returnTo: ReturnAddress) {
        self.began = began
        self.returnTo = returnTo
    }

    /// Opens a state that came back.
    ///
    /// - Returns: `nil` when it was not sealed with this binding.
    init?(_ text: String, openedWith binding: LoginBinding) {
        guard text.utf8.count <= Self.maximumLength, let bytes = Base64URL.decode(text), bytes.first == Self.version,
            let box = try? AES.GCM.SealedBox(combined: bytes.dropFirst()),
            let opened = try? AES.GCM.open(box, using: Self.key(binding), authenticating: [Self.version]),
            opened.count > Self.timeSize, let path = String(validating: opened.dropFirst(Self.timeSize), as: UTF8.self)
        else { return nil }
        let seconds = opened.prefix(Self.timeSize).reduce(Int64(0)) { $0 << 8 | Int64($1) }
        began = Date(timeIntervalSince1970: Double(seconds))
        returnTo = ReturnAddress(path)
    }

    func sealed(with binding: LoginBinding) -> String {
        let seconds = Int64(began.timeIntervalSince1970)
        let time = (0..<Self.timeSize).map { UInt8(truncatingIfNeeded: seconds >> (56 - 8 * $0)) }
        let plain = time + Array(returnTo.path.utf8)
        guard
            let box = try? AES.GCM.seal(plain, using: Self.key(binding), authenticating: [Self.version]),
            let combined = box.combined
        else { preconditionFailure("AES-GCM takes any text of this length, and its own nonces have 12 bytes") }
        return Base64URL.encode([Self.version] + Array(combined))
    }

    private static func key(_ binding: LoginBinding) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: binding.key, info: Array("cloakroom login state 1".utf8), outputByteCount: 32)
    }
}
