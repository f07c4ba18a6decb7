public import struct Foundation.Date

/// What a session begins with.
///
/// Its `description` and reflection show no token and no personal data.
public struct NewSession: Sendable, Equatable {
    /// What the identity provider issued.
    public var tokens: TokenSet
    /// Who the user is.
    public var userInfo: UserInfo
    /// The provider's issuer, as it was verified. `nil` takes issuer and provider session from the ID token among the
    /// tokens, which the caller must have verified, and else the default issuer of the store's policy.
    public var issuer: String?
    /// The session at the provider (`sid`), as it was verified; at most
    /// ``ProviderSession/maximumLength`` bytes, longer ones count as none.
    public var providerSessionID: String?
    /// The browser, as the server saw it.
    public var client: SessionClient?
    /// Data of the app's own to begin with.
    public var attributes: SessionAttributes

    /// Describes a session that is to begin.
    public init(
        tokens: TokenSet, userInfo: UserInfo, issuer: String? = nil, providerSessionID: String? = nil,
        client: SessionClient? = nil, attributes: SessionAttributes = SessionAttributes()
    ) {
        self.tokens = tokens
        self.userInfo = userInfo
        self.issuer = issuer
        self.providerSessionID = providerSessionID
        self.client = client
        self.attributes = attributes
    }
}

extension NewSession: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "NewSession(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension Session {
    /// A new session of this policy.
    ///
    /// - Throws: ``SessionAttributesError`` when the attributes are not fit to be stored.
    public init(beginningAt now: Date, policy: SessionPolicy, _ new: NewSession) throws(SessionAttributesError) {
        try new.attributes.check()
        // Cut before the sum, so that the two are a whole lifetime apart.
        let createdAt = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        let provider = ProviderNames(issuer: new.issuer, sid: new.providerSessionID, idToken: new.tokens.idToken)
        self.init(
            tokens: new.tokens, userInfo: new.userInfo, createdAt: createdAt,
            expiresAt: createdAt.addingTimeInterval(Double(policy.absoluteLifetime.components.seconds)),
            issuer: provider.issuer ?? policy.defaultIssuer, providerSessionID: provider.sid, client: new.client,
            attributes: new.attributes)
    }
}

/// Issuer and provider session of a session.
struct ProviderNames {
    let issuer: String?
    let sid: String?

    /// - Parameters:
    ///   - issuer: as it was verified at the login; `nil` when nobody said, as in records of other programs and of
    ///     releases that kept no issuer: then the ID token tells, which was verified before it was stored.
    init(issuer: String?, sid: String?, idToken: String?) {
        let isNamed = issuer != nil
        let claims = isNamed ? nil : idToken.flatMap(unverifiedJWTClaims)
        self.issuer = issuer ?? claims?["iss"]?.string.flatMap { (1...2048).contains($0.utf8.count) ? $0 : nil }
        self.sid = (sid ?? claims?["sid"]?.string).flatMap {
            (1...ProviderSession.maximumLength).contains($0.utf8.count) ? $0 : nil
        }
    }
}
