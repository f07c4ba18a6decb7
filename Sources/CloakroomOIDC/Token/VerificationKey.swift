import Cloakroom
import Crypto
import CryptoExtras

/// One public key of the provider and the algorithms that it is good for.
///
/// The signatures are checked with swift-crypto itself: a key is bound to its algorithms by its type, and no header of a
/// token can choose another.
struct VerificationKey: Sendable {
    private enum Material: Sendable {
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)
    }

    /// The sizes of an RSA modulus, in bits: not weaker than RFC 7518 §3.3 allows, not larger than is sensible to compute.
    static let rsaKeySizes = 2048...8192
    static let longestKeyID = 1024

    /// The key's name in the set (`kid`), if it has one.
    let keyID: String?
    private let material: Material
    /// What the key itself says that it is for (`alg`).
    private let declaredAlgorithm: SignatureAlgorithm?

    /// Reads a JWK (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
    ///
    /// - Returns: `nil` for a key that can't be used to verify signatures here.
    init?(_ jwk: JSONObject) {
        switch jwk["kid"] {
        case nil: keyID = nil
        case .string(let kid)? where kid.utf8.count <= Self.longestKeyID: keyID = kid
        default: return nil
        }
        if let use = jwk["use"], use != "sig" { return nil }
        if let operations = jwk["key_ops"], operations.array?.contains("verify") != true { return nil }
        switch jwk["alg"] {
        case nil: declaredAlgorithm = nil
        case .string(let name)?:
            guard let algorithm = SignatureAlgorithm(rawValue: name) else { return nil }
            declaredAlgorithm = algorithm
        default: return nil
        }
        guard let material = Self.material(of: jwk) else { return nil }
        self.material = material
    }

    /// Whether the key's type, curve and declared algorithm go with this algorithm.
    func fits(_ algorithm: SignatureAlgorithm) -> Bool {
        if let declaredAlgorithm, declaredAlgorithm != algorithm { return false }
        return switch (material, algorithm) {
        case (.rsa, .rs256), (.rsa, .rs384), (.rsa, .rs512), (.rsa, .ps256), (.rsa, .ps384), (.rsa, .ps512),
            (.p256, .es256), (.p384, .es384), (.p521, .es512), (.ed25519, .edDSA):
            true
        default:
            false
        }
    }

    /// Whether `signature` is this key's over `message`.
    func isValid(_ signature: [UInt8], of message: [UInt8], algorithm: SignatureAlgorithm) -> Bool {
        guard fits(algorithm) else { return false }
        switch material {
        case .rsa(let key):
            return Self.isValidRSA(signature, of: message, algorithm: algorithm, key: key)
        case .p256(let key):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: message)
        case .p384(let key):
            guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: message)
        case .p521(let key):
            guard let signature = try? P521.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: message)
        case .ed25519(let key):
            return key.isValidSignature(signature, for: message)
        }
    }

    private static func isValidRSA(
        _ signature: [UInt8], of message: [UInt8], algorithm: SignatureAlgorithm, key: _RSA.Signing.PublicKey
    ) -> Bool {
        let signature = _RSA.Signing.RSASignature(rawRepresentation: signature)
        return switch algorithm {
        case .rs256:
            key.isValidSignature(signature, for: SHA256.hash(data: message), padding: .insecurePKCS1v1_5)
        case .rs384:
            key.isValidSignature(signature, for: SHA384.hash(data: message), padding: .insecurePKCS1v1_5)
        case .rs512:
            key.isValidSignature(signature, for: SHA512.hash(data: message), padding: .insecurePKCS1v1_5)
        case .ps256: key.isValidSignature(signature, for: SHA256.hash(data: message), padding: .PSS)
        case .ps384: key.isValidSignature(signature, for: SHA384.hash(data: message), padding: .PSS)
        case .ps512: key.isValidSignature(signature, for: SHA512.hash(data: message), padding: .PSS)
        case .es256, .es384, .es512, .edDSA: false
        }
    }

    private static func material(of jwk: JSONObject) -> Material? {
        func bytes(_ name: String) -> [UInt8]? { jwk[name]?.string.flatMap { Base64URL.decode($0) } }
        switch (jwk["kty"]?.string, jwk["crv"]?.string) {
        case ("RSA"?, _):
            guard let modulus = bytes("n"), let exponent = bytes("e"),
                modulus.count <= rsaKeySizes.upperBound / 8 + 1, (1...8).contains(exponent.count),
                let key = try? _RSA.Signing.PublicKey(n: modulus, e: exponent),
                rsaKeySizes.contains(key.keySizeInBits)
            else { return nil }
            return .rsa(key)
        case ("EC"?, "P-256"?):
            guard let point = point(bytes("x"), bytes("y"), size: 32) else { return nil }
            return (try? P256.Signing.PublicKey(x963Representation: point)).map { .p256($0) }
        case ("EC"?, "P-384"?):
            guard let point = point(bytes("x"), bytes("y"), size: 48) else { return nil }
            return (try? P384.Signing.PublicKey(x963Representation: point)).map { .p384($0) }
        case ("EC"?, "P-521"?):
            guard let point = point(bytes("x"), bytes("y"), size: 66) else { return nil }
            return (try? P521.Signing.PublicKey(x963Representation: point)).map { .p521($0) }
        case ("OKP"?, "Ed25519"?):
            guard let x = bytes("x") else { return nil }
            return (try? Curve25519.Signing.PublicKey(rawRepresentation: x)).map { .ed25519($0) }
        default:
            return nil
        }
    }

    /// An uncompressed point (SEC 1 §2.3.3); each coordinate has the full length of the curve (RFC 7518 §6.2.1.2).
    private static func point(_ x: [UInt8]?, _ y: [UInt8]?, size: Int) -> [UInt8]? {
        guard let x, let y, x.count == size, y.count == size else { return nil }
        return [0x04] + x + y
    }
}
