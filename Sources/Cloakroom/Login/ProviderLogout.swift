public import struct Foundation.Date

/// A logout that the identity provider has told of by a logout token that was verified (OpenID Connect Back-Channel Logout §2).
public struct ProviderLogout: Sendable, Equatable {
    /// Whose sessions are to end.
    public enum Subject: Sendable, Equatable {
        /// Those that began within one session at the provider.
        case session(ProviderSession)
        /// All of a user.
        case user(UserIdentity)
    }

    /// Whose sessions are to end.
    public let subject: Subject
    /// The provider that says so.
    public let issuer: String
    /// The token's name (`jti`), which its issuer uses once.
    public let tokenID: String
    /// Until when the token would be accepted, and so until when its name must be remembered.
    public let acceptedUntil: Date

    /// Makes a logout.
    ///
    /// - Parameters:
    ///   - subject: whose sessions are to end. Its issuer must be `issuer`.
    ///   - issuer: the provider that says so.
    ///   - tokenID: the token's name.
    ///   - acceptedUntil: until when the token would be accepted.
    public init(subject: Subject, issuer: String, tokenID: String, acceptedUntil: Date) {
        self.subject = subject
        self.issuer = issuer
        self.tokenID = tokenID
        self.acceptedUntil = acceptedUntil
    }
}

/// The identity providers, as far as logouts that begin there need them. `LogoutVerifier` in `CloakroomOIDC` is one.
public protocol ProviderLogouts: Sendable {
    /// Verifies a logout token (OpenID Connect Back-Channel Logout §2.6). Whether it was used before is not looked at.
    ///
    /// - Throws: ``OIDCError``: `providerUnavailable` when the provider's keys can't be fetched, else `invalidLogoutToken`.
    func verify(logoutToken: String) async throws(OIDCError) -> ProviderLogout

    /// The origins of a provider's pages, which may show the page of the front-channel logout in a frame.
    ///
    /// - Returns: `nil` when the issuer is not one of this app's providers.
    func pageOrigins(ofIssuer issuer: String) async -> [String]?
}
