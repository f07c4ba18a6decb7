/// The query parameters with which the provider sent the browser back (RFC 6749 §4.1.2, RFC 9207).
///
/// A parameter that stood there twice is an error (RFC 6749 §3.1), which whoever reads the query must refuse. Others,
/// such as `session_state`, are ignored; so is `error_description`, which anyone can write. `description` and reflection
/// are redacted.
public struct AuthorizationResponse: Sendable {
    /// The authorization code.
    public var code: String?
    /// The state of the login that this answers.
    public var state: String?
    /// The provider that answers (`iss`).
    public var issuer: String?
    /// Why there is no code, such as `access_denied`.
    public var error: String?

    /// Makes a response of the decoded parameters.
    public init(code: String? = nil, state: String? = nil, issuer: String? = nil, error: String? = nil) {
        self.code = code
        self.state = state
        self.issuer = issuer
        self.error = error
    }
}

extension AuthorizationResponse: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Says which kind of answer it is, not what it holds.
    public var description: String { "AuthorizationResponse(\(error == nil ? "code" : "error"): redacted)" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// Shows no parameter.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
