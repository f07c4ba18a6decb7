public import Cloakroom

/// Who logged in.
public struct LoginResult: Sendable {
    /// What the provider issued.
    public let tokens: TokenSet
    /// The claims about the user, of the ID token and the UserInfo endpoint; what only the protocol needs is left out.
    public let userInfo: UserInfo
    /// The provider's session (`sid`), if it names one.
    public let providerSessionID: String?

    /// Makes a login result.
    public init(tokens: TokenSet, userInfo: UserInfo, providerSessionID: String?) {
        self.tokens = tokens
        self.userInfo = userInfo
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
