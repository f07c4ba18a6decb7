import Crypto

/// The signature algorithms that are accepted (RFC 7518 §3.1, RFC 8037 §3.1): asymmetric ones only.
///
/// `none` and the HMAC family are not among them, so that neither an unsigned token nor one whose HMAC secret is a public
/// key can pass.
enum SignatureAlgorithm: String, Sendable, CaseIterable {
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"
    case edDSA = "EdDSA"

    /// The hash that belongs to the algorithm, which `at_hash` uses too (OpenID Connect Core §3.1.3.6).
    ///
    /// For Ed25519 it is the one inside the signature scheme.
    func digest(of bytes: [UInt8]) -> [UInt8] {
        switch self {
        case .rs256, .ps256, .es256: Array(SHA256.hash(data: bytes))
        case .rs384, .ps384, .es384: Array(SHA384.hash(data: bytes))
        case .rs512, .ps512, .es512, .edDSA: Array(SHA512.hash(data: bytes))
        }
    }
}
