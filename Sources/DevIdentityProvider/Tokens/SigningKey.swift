import CryptoExtras
import JWTKit

/// The RSA key that signs all tokens, made anew at each start.
struct SigningKey: Sendable {
    /// Signs and verifies with this key alone.
    let keys: JWTKeyCollection
    /// The public half, as `/jwks` shows it.
    let jwks: JSONWebKeySet
    private let kid: String

    /// Makes a fresh 2048-bit key. Its `kid` is its thumbprint (RFC 7638).
    static func generate() async throws -> SigningKey {
        let key = try Insecure.RSA.PrivateKey(backing: _RSA.Signing.PrivateKey(keySize: .bits2048))
        let (modulus, exponent) = try key.publicKey.getKeyPrimitives()
        let n = Secrets.base64URL(modulus)
        let e = Secrets.base64URL(exponent)
        let kid = Secrets.sha256(#"{"e":"\#(e)","kty":"RSA","n":"\#(n)"}"#)
        let keys = JWTKeyCollection()
        await keys.add(rsa: key, digestAlgorithm: .sha256, kid: JWKIdentifier(string: kid))
        return SigningKey(keys: keys, jwks: JSONWebKeySet(keys: [.init(kid: kid, n: n, e: e)]), kid: kid)
    }

    /// - Parameter type: the `typ` of the header.
    func sign(_ claims: some JWTPayload, type: String = "JWT") async throws -> String {
        var header = JWTHeader()
        header.typ = type
        return try await keys.sign(claims, kid: JWKIdentifier(string: kid), header: header)
    }
}

/// The JWK Set document (RFC 7517 §5).
struct JSONWebKeySet: Encodable, Sendable {
    struct Key: Encodable, Sendable {
        var kty = "RSA"
        var use = "sig"
        var alg = "RS256"
        let kid: String
        let n: String
        let e: String
    }

    let keys: [Key]
}
