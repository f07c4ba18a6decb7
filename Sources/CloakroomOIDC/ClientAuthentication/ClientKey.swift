public import Cloakroom
import Crypto
import CryptoExtras

import struct Foundation.Data

/// A private key with which this client signs what shows a provider who it is (`private_key_jwt`, RFC 7523), and its public
/// half, which the provider must know.
///
/// RSA keys of 2048 to 8192 bits, P-256 and Ed25519. `description` and reflection show the key's ID alone.
public struct ClientKey: Sendable {
    /// What signatures are made with.
    public enum Algorithm: String, Sendable, CaseIterable {
        /// RSA with PKCS #1 v1.5 padding and SHA-256: the one that every provider knows.
        case rs256 = "RS256"
        /// RSA with PSS padding and SHA-256.
        case ps256 = "PS256"
        /// ECDSA on P-256 with SHA-256.
        case es256 = "ES256"
        /// Ed25519.
        case edDSA = "EdDSA"
    }

    fileprivate enum Material: Sendable {
        case rsa(_RSA.Signing.PrivateKey)
        case p256(P256.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    /// The most keys that one text may hold.
    static let mostKeys = 8
    /// In a key's text, what an RSA key is to sign with: the key itself does not say.
    private static let algorithmLine = "Algorithm: "

    /// The key's name (`kid`): its thumbprint (RFC 7638).
    public let keyID: String
    /// What it signs with; `nil` for an RSA key that signs with what the provider accepts.
    public let algorithm: Algorithm?
    /// The public half as a JWK (RFC 7517), with `kid` and `use`.
    public let publicKey: JSONObject
    /// The public half as certificates hold it (RFC 5280 §4.1.2.7), in DER.
    let subjectPublicKeyInfo: [UInt8]
    private let material: Material

    /// Makes a new key.
    public static func generate(_ algorithm: Algorithm) throws(ClientCredentialsError) -> ClientKey {
        switch algorithm {
        case .rs256, .ps256:
            guard let key = try? _RSA.Signing.PrivateKey(keySize: .bits3072) else {
                throw ClientCredentialsError("no key could be made")
            }
            return try ClientKey(.rsa(key), algorithm: algorithm)
        case .es256: return try ClientKey(.p256(P256.Signing.PrivateKey()), algorithm: algorithm)
        case .edDSA: return try ClientKey(.ed25519(Curve25519.Signing.PrivateKey()), algorithm: algorithm)
        }
    }

    /// Reads the private keys of a PEM text, 1 to 8 of them; other blocks, such as certificates, are passed over.
    ///
    /// A line `Algorithm: PS256` before an RSA key says what it signs with.
    public static func read(_ pem: String) throws(ClientCredentialsError) -> [ClientKey] {
        var keys: [ClientKey] = []
        for block in PEMBlock.read(pem) where block.label.hasSuffix("PRIVATE KEY") {
            let number = keys.count + 1
            guard number <= mostKeys else { throw ClientCredentialsError("holds more than \(mostKeys) private keys") }
            guard block.label != "ENCRYPTED PRIVATE KEY", !block.text.contains("Proc-Type: 4,ENCRYPTED") else {
                throw ClientCredentialsError(
                    "holds an encrypted private key (the \(ordinal(number))); decrypt it: openssl pkey -in FILE -out FILE"
                )
            }
            guard let material = Material(pem: block.text) else {
                throw ClientCredentialsError(
                    "holds a private key (the \(ordinal(number))) that is neither RSA of 2048 to 8192 bits, P-256 nor Ed25519"
                )
            }
            let key = try ClientKey(material, algorithm: try declaredAlgorithm(block))
            guard !keys.contains(where: { $0.keyID == key.keyID }) else {
                throw ClientCredentialsError("holds the same private key twice")
            }
            keys.append(key)
        }
        guard !keys.isEmpty else { throw ClientCredentialsError("holds no private key in PEM") }
        return keys
    }

    /// The private key as ``read(_:)`` takes it: a secret.
    public var pem: String {
        let text =
            switch material {
            case .rsa(let key):
                (algorithm.map { "\(Self.algorithmLine)\($0.rawValue)\n" } ?? "") + key.pkcs8PEMRepresentation
            case .p256(let key): key.pemRepresentation
            case .ed25519(let key): key.pemRepresentation
            }
        // Some of these end with a line break, and some do not.
        return text.hasSuffix("\n") ? text : text + "\n"
    }

    private init(_ material: Material, algorithm: Algorithm?) throws(ClientCredentialsError) {
        let possible: [Algorithm] =
            switch material {
            case .rsa: [.rs256, .ps256]
            case .p256: [.es256]
            case .ed25519: [.edDSA]
            }
        if let algorithm, !possible.contains(algorithm) {
            throw ClientCredentialsError("says \(algorithm.rawValue) of a private key that can't sign with it")
        }
        guard let (members, info) = material.publicHalf else {
            throw ClientCredentialsError("holds a private key without a usable public half")
        }
        self.material = material
        self.algorithm = algorithm ?? (possible.count == 1 ? possible[0] : nil)
        subjectPublicKeyInfo = info
        keyID = Self.thumbprint(members)
        var jwk = members
        jwk["kid"] = .string(keyID)
        jwk["use"] = "sig"
        if let algorithm = self.algorithm { jwk["alg"] = .string(algorithm.rawValue) }
        publicKey = jwk
    }

    /// What to sign with for a provider that accepts these; `nil` if it does not say.
    func algorithm(acceptedBy provider: [String]?) -> Algorithm {
        if let algorithm { return algorithm }
        guard let provider, !provider.contains(Algorithm.rs256.rawValue) else { return .rs256 }
        return provider.contains(Algorithm.ps256.rawValue) ? .ps256 : .rs256
    }

    /// Signs (RFC 7518 §3).
    func signature(of bytes: [UInt8], _ algorithm: Algorithm) throws -> [UInt8] {
        switch material {
        case .rsa(let key):
            let padding: _RSA.Signing.Padding = algorithm == .ps256 ? .PSS : .insecurePKCS1v1_5
            return Array(try key.signature(for: SHA256.hash(data: bytes), padding: padding).rawRepresentation)
        case .p256(let key): return Array(try key.signature(for: bytes).rawRepresentation)
        case .ed25519(let key): return Array(try key.signature(for: bytes))
        }
    }

    private static func declaredAlgorithm(_ block: PEMBlock) throws(ClientCredentialsError) -> Algorithm? {
        guard let line = block.preface.last(where: { $0.hasPrefix(algorithmLine) }) else { return nil }
        guard let algorithm = Algorithm(rawValue: String(line.dropFirst(algorithmLine.count))) else {
            throw ClientCredentialsError(
                "has a line \"\(algorithmLine)…\" with something else than "
                    + Algorithm.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return algorithm
    }

    /// RFC 7638 §3: the hash of the members that make the key, in the order of their names.
    static func thumbprint(_ members: JSONObject) -> String {
        let sorted = JSONObject(members.members.map { ($0.name, $0.value) }.sorted { $0.0 < $1.0 })
        return Base64URL.encode(Array(SHA256.hash(data: JSONValue.object(sorted).serialized)))
    }

    private static func ordinal(_ number: Int) -> String {
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"][number - 1]
    }
}

extension ClientKey.Material {
    fileprivate init?(pem: String) {
        if pem.namesP256, let key = try? P256.Signing.PrivateKey(pemRepresentation: pem) {
            self = .p256(key)
        } else if let key = try? _RSA.Signing.PrivateKey(pemRepresentation: pem),
            VerificationKey.rsaKeySizes.contains(key.keySizeInBits)
        {
            self = .rsa(key)
        } else if pem.isEd25519PrivateKey, let key = try? Curve25519.Signing.PrivateKey(pemRepresentation: pem) {
            self = .ed25519(key)
        } else {
            return nil
        }
    }

    /// The members of the JWK that make the key (RFC 7518 §6, RFC 8037 §2), and the key in DER.
    fileprivate var publicHalf: (members: JSONObject, info: [UInt8])? {
        switch self {
        case .rsa(let key):
            guard let numbers = try? key.publicKey.getKeyPrimitives() else { return nil }
            return (
                [
                    "kty": "RSA", "n": .string(Base64URL.encode(numbers.modulus)),
                    "e": .string(Base64URL.encode(numbers.publicExponent)),
                ], Array(key.publicKey.derRepresentation)
            )
        case .p256(let key):
            let point = key.publicKey.rawRepresentation
            return (
                [
                    "kty": "EC", "crv": "P-256", "x": .string(Base64URL.encode(point.prefix(32))),
                    "y": .string(Base64URL.encode(point.suffix(32))),
                ], Array(key.publicKey.derRepresentation)
            )
        case .ed25519(let key):
            return (
                [
                    "kty": "OKP", "crv": "Ed25519",
                    "x": .string(Base64URL.encode(key.publicKey.rawRepresentation)),
                ], Array(key.publicKey.derRepresentation)
            )
        }
    }
}

extension String {
    /// Whether this PEM block is of a key for Ed25519 (RFC 8410 §3): the parser takes keys for other uses of the curve too,
    /// and other curves' of the same size.
    fileprivate var isEd25519PrivateKey: Bool {
        // What stands after the version: the algorithm 1.3.101.112.
        guard let der, der.count > 12 else { return false }
        return Array(der[5..<12]) == [0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70]
    }

    /// Whether this PEM block names the curve P-256, 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1.1): the parser takes keys of other
    /// curves of the same size too.
    fileprivate var namesP256: Bool {
        guard let der else { return false }
        let name: [UInt8] = [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
        return der.indices.contains { der[$0...].starts(with: name) }
    }

    private var der: [UInt8]? {
        let lines = split(separator: "\n").dropFirst().dropLast()
        return Data(base64Encoded: lines.joined()).map(Array.init)
    }
}

extension ClientKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The key's ID, which is public.
    public var description: String { "ClientKey(\(keyID))" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// Shows what ``description`` shows.
    public var customMirror: Mirror { Mirror(self, children: ["keyID": keyID]) }
}
