import Cloakroom

import struct Foundation.Date

/// The claims of an ID token whose signature was checked (OpenID Connect Core §2).
struct IDToken: Sendable {
    static let longestSubject = 255
    static let mostAudiences = 64

    let subject: String
    let audiences: [String]
    /// The provider's session (`sid`).
    let sessionID: String?
    let claims: JSONObject
    private let algorithm: SignatureAlgorithm

    /// Checks the claims that every ID token must hold (OpenID Connect Core §3.1.3.7).
    init(_ token: SignedToken, configuration: OIDCConfiguration, now: Date) throws(OIDCError) {
        let claims = token.claims
        guard sameBytes(claims["iss"]?.string, configuration.issuer) else {
            throw Self.invalid("its issuer is another")
        }
        audiences = try Self.audiences(of: claims)
        guard audiences.containsBytes(of: configuration.clientID) else {
            throw Self.invalid("it is not for this client")
        }
        try Self.checkAuthorizedParty(claims["azp"], audiences: audiences, clientID: configuration.clientID)
        try Self.checkTimes(of: claims, now: now.timeIntervalSince1970, skew: configuration.clockSkew.inSeconds)
        guard let subject = Self.identifier(claims["sub"]) else {
            throw Self.invalid("its subject is missing or invalid")
        }
        self.subject = subject
        switch claims["sid"] {
        case nil, .null?: sessionID = nil
        case let value?:
            guard let sid = Self.identifier(value, longest: ProviderSession.maximumLength) else {
                throw Self.invalid("its session ID is unfit")
            }
            sessionID = sid
        }
        self.claims = claims
        self.algorithm = token.algorithm
    }

    /// Checks that the token was made for the login that sent this nonce.
    func checkNonce(_ expected: String) throws(OIDCError) {
        guard !expected.isEmpty, let nonce = claims["nonce"]?.string, constantTimeEquals(nonce, expected) else {
            throw Self.invalid("its nonce is not the one that was sent")
        }
    }

    /// Checks that the access token came with this ID token, if the ID token says (OpenID Connect Core §3.1.3.8).
    func checkAccessTokenHash(_ accessToken: String) throws(OIDCError) {
        guard let claimed = claims["at_hash"] else { return }
        guard let text = claimed.string,
            constantTimeEquals(text, Self.accessTokenHash(accessToken, algorithm: algorithm))
        else { throw Self.invalid("its at_hash is not that of the access token") }
    }

    /// The left half of the access token's hash (OpenID Connect Core §3.1.3.6).
    static func accessTokenHash(_ accessToken: String, algorithm: SignatureAlgorithm) -> String {
        let digest = algorithm.digest(of: Array(accessToken.utf8))
        return Base64URL.encode(digest.prefix(digest.count / 2))
    }

    static func invalid(_ reason: String) -> OIDCError { OIDCError(.invalidIDToken, reason: reason) }

    static func audiences(of claims: JSONObject) throws(OIDCError) -> [String] {
        switch claims["aud"] {
        case .string(let audience)?: return [audience]
        case .array(let elements)? where elements.count <= mostAudiences:
            let audiences = elements.compactMap(\.string)
            guard audiences.count == elements.count else { throw invalid("its audience is not made of strings") }
            return audiences
        default: throw invalid("its audience is missing or invalid")
        }
    }

    /// A token for several audiences must say that it was made for us (steps 4 and 5 of §3.1.3.7).
    private static func checkAuthorizedParty(
        _ value: JSONValue?, audiences: [String], clientID: String
    ) throws(OIDCError) {
        if value == nil, audiences.count == 1 { return }
        guard sameBytes(value?.string, clientID) else { throw invalid("its authorized party is not this client") }
    }

    private static func checkTimes(of claims: JSONObject, now: Double, skew: Double) throws(OIDCError) {
        func time(_ name: String) throws(OIDCError) -> Double? {
            guard let value = claims[name] else { return nil }
            guard let seconds = value.double, seconds.isFinite else { throw invalid("its \(name) is not a time") }
            return seconds
        }
        guard let expiry = try time("exp") else { throw invalid("its exp is missing") }
        guard now < expiry + skew else { throw invalid("it has expired") }
        guard let issuedAt = try time("iat") else { throw invalid("its iat is missing") }
        guard issuedAt <= now + skew else { throw invalid("it was issued in the future") }
        if let notBefore = try time("nbf"), notBefore > now + skew { throw invalid("it is not valid yet") }
    }

    /// A subject or session ID: not empty, of bounded length, fit for a log line.
    static func identifier(_ value: JSONValue?, longest: Int = longestSubject) -> String? {
        guard let text = value?.string, (1...longest).contains(text.utf8.count), !text.hasControlCharacters
        else {
            return nil
        }
        return text
    }
}

extension Duration {
    /// The duration in seconds.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
