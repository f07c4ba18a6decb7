/// A login that can begin.
public struct LoginRequest: Sendable {
    /// Where to send the browser: the provider's authorization endpoint with all parameters.
    public let authorizationURL: String
    /// What to keep until the browser comes back.
    public let pending: PendingLogin

    /// Makes a login request.
    public init(authorizationURL: String, pending: PendingLogin) {
        self.authorizationURL = authorizationURL
        self.pending = pending
    }
}

extension LoginRequest: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Shows nothing: the address holds state and nonce.
    public var description: String { "LoginRequest(redacted)" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// Shows nothing: the address holds state and nonce.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
