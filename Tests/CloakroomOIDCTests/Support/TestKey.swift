import Cloakroom
import Crypto
import CryptoExtras
import Foundation

/// A key pair of the scripted provider. The keys are made once for all tests: RSA keys take their time.
struct TestKey: Sendable {
    enum Material: Sendable {
        case rsa(_RSA.Signing.PrivateKey)
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    let keyID: String
    let algorithm: String
    let material: Material

    static let rsa = Result {
        TestKey(keyID: "rsa-1", algorithm: "RS256", material: .rsa(try .init(keySize: .bits2048)))
    }
    static let otherRSA = Result {
        TestKey(keyID: "rsa-2", algorithm: "RS256", material: .rsa(try .init(keySize: .bits2048)))
    }
    static let p256 = TestKey(keyID: "p256", algorithm: "ES256", material: .p256(.init()))
    static let otherP256 = TestKey(keyID: "p256-2", algorithm: "ES256", material: .p256(.init()))
    static let p384 = TestKey(keyID: "p384", algorithm: "ES384", material: .p384(.init()))
    static let p521 = TestKey(keyID: "p521", algorithm: "ES512", material: .p521(.init()))
    static let ed25519 = TestKey(keyID: "ed", algorithm: "EdDSA", material: .ed25519(.init()))

    /// The public half as a provider publishes it.
    var jwk: JSONObject {
        get throws {
            var jwk: JSONObject = ["kid": .string(keyID), "use": "sig", "alg": .string(algorithm)]
            func point(_ bytes: Data, curve: String) {
                jwk["kty"] = "EC"
                jwk["crv"] = .string(curve)
                jwk["x"] = .string(Base64URL.encode(bytes.prefix(bytes.count / 2)))
                jwk["y"] = .string(Base64URL.encode(bytes.suffix(bytes.count / 2)))
            }
            switch material {
            case .rsa(let key):
                let numbers = try key.publicKey.getKeyPrimitives()
                jwk["kty"] = "RSA"
                jwk["n"] = .string(Base64URL.encode(numbers.modulus))
                jwk["e"] = .string(Base64URL.encode(numbers.publicExponent))
            case .p256(let key): point(key.publicKey.rawRepresentation, curve: "P-256")
            case .p384(let key): point(key.publicKey.rawRepresentation, curve: "P-384")
            case .p521(let key): point(key.publicKey.rawRepresentation, curve: "P-521")
            case .ed25519(let key):
                jwk["kty"] = "OKP"
                jwk["crv"] = "Ed25519"
                jwk["x"] = .string(Base64URL.encode(key.publicKey.rawRepresentation))
            }
            return jwk
        }
    }

    /// The published half with some members changed; `nil` removes one.
    func jwk(with changes: [String: JSONValue?]) throws -> JSONObject {
        var jwk = try jwk
        for (name, value) in changes { jwk[name] = value }
        return jwk
    }

    /// Another key's half of the same pair for another algorithm or under another name.
    func renamed(keyID: String? = nil, algorithm: String? = nil) -> TestKey {
        TestKey(keyID: keyID ?? self.keyID, algorithm: algorithm ?? self.algorithm, material: material)
    }

    func signature(of bytes: [UInt8]) throws -> [UInt8] {
        switch material {
        case .rsa(let key):
            let padding: _RSA.Signing.Padding = algorithm.hasPrefix("PS") ? .PSS : .insecurePKCS1v1_5
            return switch algorithm.suffix(3) {
            case "384": [UInt8](try key.signature(for: SHA384.hash(data: bytes), padding: padding).rawRepresentation)
            case "512": [UInt8](try key.signature(for: SHA512.hash(data: bytes), padding: padding).rawRepresentation)
            default: [UInt8](try key.signature(for: SHA256.hash(data: bytes), padding: padding).rawRepresentation)
            }
        case .p256(let key): return [UInt8](try key.signature(for: bytes).rawRepresentation)
        case .p384(let key): return [UInt8](try key.signature(for: bytes).rawRepresentation)
        case .p521(let key): return [UInt8](try key.signature(for: bytes).rawRepresentation)
        case .ed25519(let key): return [UInt8](try key.signature(for: bytes))
        }
    }
}

/// An ID token that is about to be signed, right or wrong.
struct TokenDraft: Sendable {
    var header: JSONObject
    var claims: JSONObject
    var sign: @Sendable ([UInt8]) throws -> [UInt8]

    init(claims: JSONObject, key: TestKey) {
        self.claims = claims
        header = [:]
        sign = { _ in [] }
        use(key)
    }

    /// Signs with this key and says so in the header.
    mutating func use(_ key: TestKey) {
        header = ["alg": .string(key.algorithm), "typ": "JWT", "kid": .string(key.keyID)]
        sign = { try key.signature(of: $0) }
    }

    /// Signs with this key and leaves the header as it is.
    mutating func forge(with key: TestKey) { sign = { try key.signature(of: $0) } }

    func encoded() throws -> String {
        let head = Base64URL.encode(JSONValue.object(header).serialized)
        let body = Base64URL.encode(JSONValue.object(claims).serialized)
        let signed = "\(head).\(body)"
        return "\(signed).\(Base64URL.encode(try sign(Array(signed.utf8))))"
    }
}
