import Cloakroom

/// The provider's keys for signatures (RFC 7517 §5).
struct KeySet: Sendable {
    static let largestDocument = 512 * 1024
    /// Of more keys than this only the first are used: each one costs work to read.
    static let mostKeys = 64

    /// The keys that can verify a signature. Those of unknown type, for other uses, too weak or malformed are left out:
    /// they never fail the set (RFC 7517 §5).
    let keys: [VerificationKey]

    init(_ document: JSONObject) throws(OIDCError) {
        guard let members = document["keys"]?.array else {
            throw OIDCError(.invalidResponse, reason: "the provider's key set lacks keys")
        }
        keys = members.prefix(Self.mostKeys).compactMap { $0.object.flatMap { VerificationKey($0) } }
    }

    /// The keys that may have signed a token with this header.
    ///
    /// A token without a key ID is accepted only when there is no choice (OpenID Connect Core §10.1). A key ID that no
    /// key has never falls back to another key.
    func candidates(keyID: String?, algorithm: SignatureAlgorithm) -> [VerificationKey] {
        guard let keyID else {
            return keys.count == 1 ? keys.filter { $0.fits(algorithm) } : []
        }
        return keys.filter { sameBytes($0.keyID, keyID) && $0.fits(algorithm) }
    }
}
