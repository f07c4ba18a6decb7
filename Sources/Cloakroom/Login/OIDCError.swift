/// What went wrong between us and the provider.
///
/// Holds no token, code, body or other secret, and nothing that a stranger chose beyond a short error code of letters,
/// digits and `_ . -`: it may be logged. What to show to a user is the caller's to decide.
public struct OIDCError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kinds of failure that callers treat differently.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The kind in a few words.
        public let description: String
        /// The provider can't be reached, timed out, or answered 5xx: try again later.
        public static let providerUnavailable = Code(description: "provider unavailable")
        /// The provider's metadata or answer is not what the standards say.
        public static let invalidResponse = Code(description: "invalid response")
        /// The callback is not one that we asked for.
        public static let invalidCallback = Code(description: "invalid callback")
        /// The provider refused the login, for instance because the user cancelled it.
        public static let loginRefused = Code(description: "login refused")
        /// The ID token failed verification.
        public static let invalidIDToken = Code(description: "invalid ID token")
        /// The logout token failed verification.
        public static let invalidLogoutToken = Code(description: "invalid logout token")
        /// The provider answered a refresh with tokens of another login: another user, issuer or audience. None of them may
        /// be used.
        public static let identityMismatch = Code(description: "identity mismatch")
        /// The code or refresh token is not valid (any more).
        public static let invalidGrant = Code(description: "invalid grant")
        /// The provider refuses our credentials.
        public static let clientRejected = Code(description: "client rejected")
    }

    /// The kind of failure.
    public let code: Code
    /// The kind as one word, for events and metrics.
    package var codeWord: String {
        code.description.lowercased().split(separator: " ").joined(separator: "_")
    }
    /// What exactly was wrong, in words for the operator.
    public let reason: String

    /// Makes an error; `reason` must hold no secret.
    public init(_ code: Code, reason: String) {
        self.code = code
        self.reason = reason
    }

    /// The kind and the reason.
    public var description: String { "\(code): \(reason)" }
}
