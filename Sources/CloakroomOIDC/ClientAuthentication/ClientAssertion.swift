import Cloakroom

import struct Foundation.Date

/// What shows a provider who this client is, in place of a secret (RFC 7521 §4.2, RFC 7523 §2.2).
enum ClientAssertion {
    /// The `client_assertion_type` of JWTs.
    static let type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    /// How long one that is signed here is good for, in seconds.
    static let lifetime = 60

    /// Signs one.
    ///
    /// - Parameters:
    ///   - id: used for this one alone.
    ///   - certificate: the client's; it is named if it is that of the key.
    static func sign(
        _ key: ClientKey, _ algorithm: ClientKey.Algorithm, clientID: String, audience: String, id: String, now: Date,
        certificate: ClientCertificate?
    ) throws(OIDCError) -> String {
        var header: JSONObject = ["alg": .string(algorithm.rawValue), "typ": "JWT", "kid": .string(key.keyID)]
        if let certificate, certificate.subjectPublicKeyInfo == key.subjectPublicKeyInfo {
            header["x5t#S256"] = .string(certificate.thumbprint)
        }
        let seconds = Int(now.timeIntervalSince1970)
        let claims: JSONObject = [
            "iss": .string(clientID), "sub": .string(clientID), "aud": .string(audience), "jti": .string(id),
            "iat": .number("\(seconds)"), "exp": .number("\(seconds + lifetime)"),
        ]
        let signed = [header, claims].map { Base64URL.encode(JSONValue.object($0).serialized) }.joined(separator: ".")
        guard let signature = try? key.signature(of: Array(signed.utf8), algorithm) else {
            throw OIDCError(.clientRejected, reason: "the client's private key can't sign")
        }
        return "\(signed).\(Base64URL.encode(signature))"
    }

    /// Checks that an assertion of somebody else has not ended: then whoever is to renew it does not.
    static func checkTime(of assertion: String, now: Date) throws(OIDCError) {
        guard let end = SignedToken.claims(ofKnown: assertion)?["exp"]?.double, end <= now.timeIntervalSince1970 else {
            return
        }
        throw OIDCError(.clientRejected, reason: "the client assertion has expired, and its file was not renewed")
    }
}
