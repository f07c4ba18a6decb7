import Crypto

/// One key of a keyring, prepared for use.
///
/// From its 256 bits everything else is derived by HKDF-Expand with SHA-256 (RFC 5869 §2.3). The Extract step is left out,
/// as §3.3 allows, because the key is uniformly random itself.
struct SealingKey: Sendable {
    /// What the text of a key begins with.
    static let prefix = "crk1_"
    private static let byteCount = 32

    // No label begins another, so that no two derivations share an input.
    private static let idLabel = Array("cloakroom v1 key ID\0".utf8)
    private static let recordLabel = Array("cloakroom v1 session record\0".utf8)
    private static let summaryLabel = Array("cloakroom v1 session summary\0".utf8)

    /// What records name their key by: the beginning of a hash of the key.
    let id: UInt32
    /// What opens summaries.
    let summaryKey: SymmetricKey
    /// HMAC under the key that has taken in the label already: that part is the same for every record.
    private let recordDerivation: HMAC<SHA256>

    /// - Parameter number: which key of the keyring it is, for the error.
    init(_ text: some StringProtocol, number: Int) throws(SessionKeyringError) {
        guard text.hasPrefix(Self.prefix) else {
            throw SessionKeyringError(
                description: "key \(number) does not begin with \(Self.prefix); 'cloakroom keys generate' makes one")
        }
        let encoded = text.dropFirst(Self.prefix.count)
        // Encoded again, as several texts decode to the same key.
        guard let bytes = Base64URL.decode(encoded), bytes.count == Self.byteCount,
            constantTimeEquals(Base64URL.encode(bytes), String(encoded))
        else {
            throw SessionKeyringError(
                description: "key \(number) is damaged: 43 characters of base64url must follow \(Self.prefix)")
        }
        var hash = SHA256()
        hash.update(data: Self.idLabel)
        hash.update(data: bytes)
        self.id = hash.finalize().prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
        let key = SymmetricKey(data: bytes)
        self.summaryKey = HKDF<SHA256>.expand(
            pseudoRandomKey: key, info: Self.summaryLabel, outputByteCount: Self.byteCount)
        var derivation = HMAC<SHA256>(key: key)
        derivation.update(data: Self.recordLabel)
        self.recordDerivation = derivation
    }

    /// The key of one session's record. It takes both this key and the session's ID to know it.
    func recordKey(for id: SessionID) -> SymmetricKey {
        // One block is all that HKDF-Expand makes here: HMAC(key, label ‖ secret ‖ 1).
        var last: [UInt8] = []
        last.reserveCapacity(SessionID.lengths.upperBound + 1)
        last.append(contentsOf: id.secret.utf8)
        last.append(1)
        var derivation = recordDerivation
        derivation.update(data: last)
        return SymmetricKey(data: derivation.finalize())
    }

    /// A key ID as it is shown: 8 hex digits.
    static func text(ofID id: UInt32) -> String {
        Hex.encode((0..<4).map { UInt8(truncatingIfNeeded: id >> (24 - 8 * $0)) })
    }
}
