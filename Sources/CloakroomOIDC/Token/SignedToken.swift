import Cloakroom

/// A JWT in compact form whose signature has not been checked yet (RFC 7515 §7.1, RFC 7519).
struct SignedToken: Sendable {
    static let longest = 64 * 1024

    let algorithm: SignatureAlgorithm
    let keyID: String?
    /// What kind of token it says it is (`typ`), if it does.
    let type: String?
    /// What the token says; nothing of it is true before the signature was checked.
    let claims: JSONObject
    private let signedBytes: [UInt8]
    private let signature: [UInt8]

    /// Takes a token apart and checks that its header is one that we handle.
    init(_ text: String) throws(OIDCError) {
        guard text.utf8.count <= Self.longest else {
            throw OIDCError(.invalidIDToken, reason: "it is longer than \(Self.longest) bytes")
        }
        let parts = text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count != 5 else {
            // RFC 7516 §7.1.
            throw OIDCError(
                .invalidIDToken,
                reason:
                    "it is encrypted (JWE), which is not supported: turn encryption off for this client at the provider"
            )
        }
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = Base64URL.decode(Substring(parts[2]))
        else { throw OIDCError(.invalidIDToken, reason: "it is not a signed JWT") }
        // The header is checked in full before any key is looked at.
        guard let name = header["alg"]?.string, let algorithm = SignatureAlgorithm(rawValue: name) else {
            throw OIDCError(.invalidIDToken, reason: "its signature algorithm is not accepted")
        }
        guard header["crit"] == nil else {
            // RFC 7515 §4.1.11: extensions that must be understood; none is here.
            throw OIDCError(.invalidIDToken, reason: "it has critical header extensions")
        }
        switch header["kid"] {
        case nil: keyID = nil
        case .string(let kid)?: keyID = kid
        default: throw OIDCError(.invalidIDToken, reason: "its key ID is not a string")
        }
        type = header["typ"]?.string
        self.algorithm = algorithm
        self.claims = claims
        self.signature = signature
        self.signedBytes = Array(parts[0]) + [UInt8(ascii: ".")] + Array(parts[1])
    }

    /// Whether one of these keys made the signature.
    func isSigned(byOneOf keys: [VerificationKey]) -> Bool {
        keys.contains { $0.isValid(signature, of: signedBytes, algorithm: algorithm) }
    }

    /// The claims of a token whose signature was checked when it was received.
    static func claims(ofKnown text: String) -> JSONObject? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 5, omittingEmptySubsequences: false)
        guard text.utf8.count <= longest, parts.count == 3 else { return nil }
        return object(parts[1])
    }

    private static func object(_ part: Substring.UTF8View) -> JSONObject? {
        guard let bytes = Base64URL.decode(Substring(part)) else { return nil }
        return (try? JSONValue(parsing: bytes))?.object
    }
}
