/// Who logged in.
public struct LoginResult: Sendable {
    /// What the provider issued.
    public let tokens: TokenSet
    /// The claims about the user, of the ID token and the UserInfo endpoint; what only the protocol needs is left out.
    public let userInfo: UserInfo
    /// Who says so: the configured issuer, which the verified ID token names to the byte. Subject and provider session
    /// mean something only together with it.
    public let issuer: String
    /// The provider's session (`sid` of the verified ID token), if it names one.
    public let providerSessionID: String?

    /// Makes a login result.
    public init(tokens: TokenSet, userInfo: UserInfo, issuer: String, providerSessionID: String?) {
        self.tokens = tokens
        self.userInfo = userInfo
        self.issuer = issuer
        self.providerSessionID = providerSessionID
    }
}

extension LoginResult: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Shows neither tokens nor personal data.
    public var description: String { "LoginResult(redacted)" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// Shows neither tokens nor personal data.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
