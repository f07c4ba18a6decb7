public import Cloakroom
import Synchronization

/// What this client shows a provider to prove who it is, beside what ``OIDCConfiguration`` says; it can be replaced while
/// logins are under way.
public final class ClientCredentials: Sendable {
    /// What there is at one moment. `description` and reflection show none of it.
    public struct Values: Sendable {
        /// The client secret; `nil` for ``OIDCConfiguration/clientSecret``.
        public var secret: String?
        /// The keys for `private_key_jwt`: the first signs, all are published.
        public var keys: [ClientKey] = []
        /// A JWT of somebody else that says who this client is, such as a Kubernetes or SPIFFE token.
        public var assertion: String?
        /// The certificate for mutual TLS, or of the first of ``keys``.
        public var certificate: ClientCertificate?

        /// Nothing.
        public init() {}
    }

    /// The longest assertion, in bytes.
    static let longestAssertion = 16 * 1024
    private let held: Mutex<Values>

    /// Makes credentials.
    public init(_ values: Values = Values()) { held = Mutex(values) }

    /// What requests use from now on.
    public var current: Values { held.withLock { $0 } }

    /// Has requests use these from now on.
    public func replace(with values: Values) { held.withLock { $0 = values } }

    /// The public halves of the keys, as a JWK set (RFC 7517 §5): what the provider must know.
    public var publicKeys: JSONObject { ["keys": .array(current.keys.map { .object($0.publicKey) })] }

    /// Checks an assertion as far as that can be done here: whether it is a signed JWT.
    ///
    /// - Returns: the assertion without the line end that files have.
    public static func assertion(_ text: String) throws(ClientCredentialsError) -> String {
        let assertion = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        guard assertion.utf8.count <= longestAssertion else {
            throw ClientCredentialsError("is longer than \(longestAssertion) bytes")
        }
        guard assertion.isVisibleASCII, SignedToken.claims(ofKnown: assertion) != nil else {
            throw ClientCredentialsError("does not hold a signed JWT (three parts, separated by dots)")
        }
        return assertion
    }
}

extension ClientCredentials.Values: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Shows no secret.
    public var description: String { "ClientCredentials.Values(redacted)" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// Shows no secret.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension ClientCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Shows no secret.
    public var description: String { "ClientCredentials(redacted)" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// Shows no secret.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
