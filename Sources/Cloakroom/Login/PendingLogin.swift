/// The secrets of a login under way; they belong on the server, bound to the browser that began.
///
/// `description` and reflection are redacted.
public struct PendingLogin: Sendable {
    /// Comes back in the callback and shows that we asked for it (RFC 6749 §10.12).
    public let state: String
    /// Comes back in the ID token and shows that it was made for this login (OpenID Connect Core §3.1.2.1).
    public let nonce: String
    /// The PKCE code verifier: only its hash leaves before the code is redeemed (RFC 7636 §4.1).
    public let codeVerifier: String

    /// Makes a pending login of stored values.
    public init(state: String, nonce: String, codeVerifier: String) {
        self.state = state
        self.nonce = nonce
        self.codeVerifier = codeVerifier
    }
}

extension PendingLogin: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Shows none of the secrets.
    public var description: String { "PendingLogin(redacted)" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// Shows none of the secrets.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
