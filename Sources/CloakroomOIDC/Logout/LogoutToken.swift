import Cloakroom

import struct Foundation.Date

/// The claims of a logout token whose signature was checked (OpenID Connect Back-Channel Logout §2.4, §2.6).
struct LogoutToken: Sendable {
    static let event = "http://schemas.openid.net/event/backchannel-logout"
    static let type = "logout+jwt"
    static let longestID = 1024
    /// For how long after its `iat` a token is accepted at most, whatever its `exp` says, in seconds: so long must its name be
    /// remembered. The standard recommends two minutes.
    static let longestLife = 3600.0
    /// For how long a token without `exp` is accepted, in seconds.
    static let lifeWithoutExpiry = 120.0

    let logout: ProviderLogout

    init(_ token: SignedToken, configuration: OIDCConfiguration, now: Date) throws(OIDCError) {
        let claims = token.claims
        let isLenient = configuration.logoutTokenTypes == .lenient
        try Self.checkType(token.type, isLenient: isLenient)
        guard sameBytes(claims["iss"]?.string, configuration.issuer) else {
            throw Self.invalid("its issuer is another")
        }
        let audiences = try Self.asLogoutToken { () throws(OIDCError) in try IDToken.audiences(of: claims) }
        guard audiences.containsBytes(of: configuration.clientID) else {
            throw Self.invalid("it is not for this client")
        }
        // First of all it must be a logout token: an ID token, which others may hold, must never pass for one.
        guard let events = claims["events"]?.object, events[Self.event]?.object != nil else {
            throw Self.invalid("its events do not say that it is a logout")
        }
        guard claims["nonce"] == nil else { throw Self.invalid("it has a nonce, which logout tokens must not have") }
        let acceptedUntil = try Self.acceptedUntil(
            claims, isLenient: isLenient, now: now.timeIntervalSince1970, skew: configuration.clockSkew.inSeconds)
        guard let tokenID = claims["jti"]?.string, (1...Self.longestID).contains(tokenID.utf8.count) else {
            throw Self.invalid("its jti is missing or unfit")
        }
        logout = ProviderLogout(
            subject: try Self.subject(of: claims, issuer: configuration.issuer), issuer: configuration.issuer,
            tokenID: tokenID, acceptedUntil: Date(timeIntervalSince1970: acceptedUntil))
    }

    static func invalid(_ reason: String) -> OIDCError { OIDCError(.invalidLogoutToken, reason: reason) }

    /// Runs checks that logout tokens share with ID tokens.
    static func asLogoutToken<Value>(_ body: () throws(OIDCError) -> Value) throws(OIDCError) -> Value {
        do throws(OIDCError) { return try body() } catch { throw asLogoutToken(error) }
    }

    /// The error of such a check.
    static func asLogoutToken(_ error: OIDCError) -> OIDCError {
        error.code == .invalidIDToken ? invalid(error.reason) : error
    }

    /// The media type may stand without `application/`, and in letters of either case (RFC 7515 §4.1.9).
    private static func checkType(_ type: String?, isLenient: Bool) throws(OIDCError) {
        let name = type?.lowercased()
        if name == Self.type || name == "application/\(Self.type)" { return }
        guard isLenient, name == nil || name == "jwt" else {
            throw invalid("its typ is not logout+jwt; types that older providers send must be allowed by a setting")
        }
    }

    /// Until when the token is accepted, in seconds of the Unix time.
    private static func acceptedUntil(
        _ claims: JSONObject, isLenient: Bool, now: Double, skew: Double
    ) throws(OIDCError) -> Double {
        func time(_ name: String) throws(OIDCError) -> Double? {
            guard let value = claims[name] else { return nil }
            guard let seconds = value.double, seconds.isFinite else { throw invalid("its \(name) is not a time") }
            return seconds
        }
        guard let issuedAt = try time("iat") else { throw invalid("its iat is missing") }
        guard issuedAt <= now + skew else { throw invalid("it was issued in the future") }
        let expiry = try time("exp")
        guard expiry != nil || isLenient else { throw invalid("its exp is missing") }
        let end = min(expiry ?? issuedAt + lifeWithoutExpiry, issuedAt + longestLife) + skew
        guard now < end else { throw invalid("it has expired") }
        if let notBefore = try time("nbf"), notBefore > now + skew { throw invalid("it is not valid yet") }
        return end
    }

    /// The provider's session if the token names one, as then the user's other sessions go on; else the user.
    private static func subject(of claims: JSONObject, issuer: String) throws(OIDCError) -> ProviderLogout.Subject {
        func identifier(_ name: String, _ longest: Int) throws(OIDCError) -> String? {
            guard let value = claims[name] else { return nil }
            guard let text = IDToken.identifier(value, longest: longest) else { throw invalid("its \(name) is unfit") }
            return text
        }
        let (user, sid) = (
            try identifier("sub", IDToken.longestSubject), try identifier("sid", ProviderSession.maximumLength)
        )
        if let sid { return .session(ProviderSession(issuer: issuer, sid: sid)) }
        guard let user else { throw invalid("it names neither a session nor a user") }
        return .user(UserIdentity(issuer: issuer, subject: user))
    }
}
