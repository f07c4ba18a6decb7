import Synchronization

public import struct Foundation.Date

/// A logged-in user's session as a store keeps it.
///
/// Its `description` holds no token; reflection neither.
public struct Session: Sendable, Equatable {
    /// All that a session has. It lies behind one reference, as sessions are read far more often than they are changed: a
    /// copy of one that holds a dozen strings would cost more than finding it.
    private final class Storage: Sendable {
        let fields: Fields
        /// When the access token ends, as the bits of its time, once someone has asked: to find it out is to parse the token.
        private let tokenEnd = Atomic<UInt64>(Storage.unknown)

        private static let unknown = UInt64.max
        private static let never = UInt64.max - 1

        init(_ fields: Fields) { self.fields = fields }

        var accessTokenExpiresAt: Date? {
            switch tokenEnd.load(ordering: .relaxed) {
            case Self.never: return nil
            case Self.unknown:
                let end = fields.accessTokenExpiresAt
                tokenEnd.store(
                    end?.timeIntervalSinceReferenceDate.bitPattern ?? Self.never, ordering: .relaxed)
                return end
            case let bits: return Date(timeIntervalSinceReferenceDate: Double(bitPattern: bits))
            }
        }
    }

    private struct Fields: Sendable, Equatable {
        var tokens: TokenSet
        var userInfo: UserInfo
        let createdAt: Date
        let expiresAt: Date
        var refreshedAt: Date?
        var issuer: String?
        let providerSessionID: String?
        let client: SessionClient?
        var attributes: SessionAttributes
        var otherFields: JSONObject

        var accessTokenExpiresAt: Date? {
            if let expiry = unverifiedJWTExpiry(tokens.accessToken) { return expiry }
            guard let seconds = tokens.expiresIn else { return nil }
            return (refreshedAt ?? createdAt).addingTimeInterval(Double(seconds))
        }
    }

    private var storage: Storage

    private mutating func change<Value>(_ field: WritableKeyPath<Fields, Value>, to value: Value) {
        var fields = storage.fields
        fields[keyPath: field] = value
        storage = Storage(fields)
    }

    /// What the identity provider issued.
    public var tokens: TokenSet {
        _read { yield storage.fields.tokens }
        set { change(\.tokens, to: newValue) }
    }
    /// Who the user is, as the provider said at login.
    public var userInfo: UserInfo {
        _read { yield storage.fields.userInfo }
        set { change(\.userInfo, to: newValue) }
    }
    /// When the session began.
    public var createdAt: Date { storage.fields.createdAt }
    /// When it ends whatever happens: activity and refreshes never move it.
    public var expiresAt: Date { storage.fields.expiresAt }
    /// When the tokens were last replaced; `nil` when they are still those of the login.
    public internal(set) var refreshedAt: Date? {
        get { storage.fields.refreshedAt }
        set { change(\.refreshedAt, to: newValue) }
    }
    /// The identity provider, as it was verified at the login; `nil` when nobody knows.
    public package(set) var issuer: String? {
        _read { yield storage.fields.issuer }
        set { change(\.issuer, to: newValue) }
    }
    /// The session at the identity provider in which this one began (`sid`), as it was verified at the login; `nil` if the
    /// provider names none. New tokens do not change it.
    public var providerSessionID: String? { storage.fields.providerSessionID }
    /// The browser that it began in, as the server saw it.
    public var client: SessionClient? { storage.fields.client }
    /// The app's own data. Change it by ``SessionStore/updateSession(_:_:)``.
    public package(set) var attributes: SessionAttributes {
        _read { yield storage.fields.attributes }
        set { change(\.attributes, to: newValue) }
    }
    /// Members of the stored record that Cloakroom does not know. They survive a refresh untouched.
    public internal(set) var otherFields: JSONObject {
        _read { yield storage.fields.otherFields }
        set { change(\.otherFields, to: newValue) }
    }

    public static func == (left: Session, right: Session) -> Bool {
        left.storage === right.storage || left.storage.fields == right.storage.fields
    }

    /// Makes a session. Stores do this; an app gets its sessions from a ``SessionStore``.
    ///
    /// Times are cut to whole seconds, as the stored form has them, so that a session is the same before it was stored and
    /// after.
    public init(
        tokens: TokenSet,
        userInfo: UserInfo,
        createdAt: Date,
        expiresAt: Date,
        refreshedAt: Date? = nil,
        issuer: String? = nil,
        providerSessionID: String? = nil,
        client: SessionClient? = nil,
        attributes: SessionAttributes = SessionAttributes(),
        otherFields: JSONObject = [:]
    ) {
        storage = Storage(
            Fields(
                tokens: tokens, userInfo: userInfo, createdAt: createdAt.wholeSeconds,
                expiresAt: expiresAt.wholeSeconds, refreshedAt: refreshedAt?.wholeSeconds, issuer: issuer,
                providerSessionID: providerSessionID, client: client, attributes: attributes,
                otherFields: otherFields))
    }

    /// Whether the session's absolute limit has passed.
    public func isExpired(at now: Date) -> Bool { now >= expiresAt }

    /// When the access token ends.
    ///
    /// That is its own `exp` if it is a JWT, else the time of the last refresh or of the login plus `expires_in`.
    /// `nil` when neither is known.
    public var accessTokenExpiresAt: Date? { storage.accessTokenExpiresAt }

    /// The user; `nil` if the provider named none.
    public var user: UserIdentity? {
        userInfo.subject.map { UserIdentity(issuer: issuer, subject: $0) }
    }

    /// The session at the identity provider; `nil` if the provider named none.
    public var providerSession: ProviderSession? {
        providerSessionID.map { ProviderSession(issuer: issuer, sid: $0) }
    }

    /// The value of one of the app's attributes; see ``SessionAttributes``.
    public subscript<Key: SessionAttributeKey>(_ key: Key.Type) -> Key.Value? { attributes[key] }

    /// The same session with other attributes.
    ///
    /// - Throws: ``SessionAttributesError`` when they are not fit to be stored.
    public func updated(with attributes: SessionAttributes) throws(SessionAttributesError) -> Session {
        try attributes.check()
        var copy = self
        copy.attributes = attributes
        return copy
    }

    /// The same session with new tokens.
    ///
    /// A token or lifetime that `tokens` lacks keeps its old value: a provider that does not rotate refresh tokens sends
    /// none (RFC 6749 §6), and many send no new ID token (OpenID Connect Core §12.2). Who the user is, the provider and its
    /// session, when this one began and when it ends stay as they are.
    public func refreshed(with tokens: TokenSet, at now: Date) -> Session {
        var fields = storage.fields
        fields.tokens = fields.tokens.replaced(by: tokens)
        fields.refreshedAt = now.wholeSeconds
        var copy = self
        copy.storage = Storage(fields)
        return copy
    }
}

extension Date {
    fileprivate var wholeSeconds: Date { Date(timeIntervalSince1970: timeIntervalSince1970.rounded(.down)) }
}

extension Session: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// When the session began and ends; no token and nothing of the user.
    public var description: String { "Session(createdAt: \(createdAt), expiresAt: \(expiresAt))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["createdAt": createdAt, "expiresAt": expiresAt]) }
}

/// The tokens of one user (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3).
///
/// Its `description` and reflection are redacted.
public struct TokenSet: Sendable, Equatable {
    /// What the APIs want.
    public var accessToken: String
    /// What gets new tokens; `nil` when the provider gave none.
    public var refreshToken: String?
    /// The provider's statement of who logged in, as it was sent.
    public var idToken: String?
    /// Life of the access token in seconds, counted from when it was issued.
    public var expiresIn: Int?
    /// Life of the refresh token in seconds; 0 means that it does not end (Keycloak's offline tokens).
    public var refreshExpiresIn: Int?
    /// Members that Cloakroom does not know; they survive a refresh.
    public var otherFields: JSONObject

    /// Makes a set of tokens.
    public init(
        accessToken: String,
        refreshToken: String? = nil,
        idToken: String? = nil,
        expiresIn: Int? = nil,
        refreshExpiresIn: Int? = nil,
        otherFields: JSONObject = [:]
    ) {
        self.accessToken = accessToken
        self.refreshToken = refreshToken
        self.idToken = idToken
        self.expiresIn = expiresIn
        self.refreshExpiresIn = refreshExpiresIn
        self.otherFields = otherFields
    }

    /// These tokens overlaid with newer ones; what `newer` lacks stays.
    func replaced(by newer: TokenSet) -> TokenSet {
        var merged = newer
        merged.refreshToken = newer.refreshToken ?? refreshToken
        merged.idToken = newer.idToken ?? idToken
        merged.expiresIn = newer.expiresIn ?? expiresIn
        merged.refreshExpiresIn = newer.refreshExpiresIn ?? refreshExpiresIn
        merged.otherFields = otherFields
        for member in newer.otherFields.members { merged.otherFields[member.name] = member.value }
        return merged
    }
}

extension TokenSet: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Says which tokens there are, not what they are.
    public var description: String {
        "TokenSet(accessToken: redacted, refreshToken: \(refreshToken == nil ? "none" : "redacted"), "
            + "idToken: \(idToken == nil ? "none" : "redacted"))"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["tokens": "redacted"]) }
}

/// Who the user is: the claims of the ID token and the UserInfo endpoint (OpenID Connect Core §5.1).
///
/// Its `description` and reflection show no personal data.
public struct UserInfo: Sendable, Equatable {
    /// All claims, under the names that the provider uses.
    public var claims: JSONObject

    /// Makes user info from claims.
    public init(claims: JSONObject) { self.claims = claims }

    /// Makes user info for this subject with further claims.
    public init(subject: String, email: String? = nil, name: String? = nil, preferredUsername: String? = nil) {
        var claims: JSONObject = ["sub": .string(subject)]
        claims["email"] = email.map { .string($0) }
        claims["name"] = name.map { .string($0) }
        claims["preferred_username"] = preferredUsername.map { .string($0) }
        self.claims = claims
    }

    /// A claim by its name, such as `locale`.
    public subscript(claim: String) -> JSONValue? {
        get { claims[claim] }
        set { claims[claim] = newValue }
    }

    /// The user's stable identifier at the provider (`sub`).
    public var subject: String? { claims["sub"]?.string }
    /// The e-mail address (`email`).
    public var email: String? { claims["email"]?.string }
    /// The full name for display (`name`).
    public var name: String? { claims["name"]?.string }
    /// The login name (`preferred_username`).
    public var preferredUsername: String? { claims["preferred_username"]?.string }
    /// The given name (`given_name`).
    public var givenName: String? { claims["given_name"]?.string }
    /// The family name (`family_name`).
    public var familyName: String? { claims["family_name"]?.string }
}

extension UserInfo: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "UserInfo(\(claims.members.count) claims)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["claims": claims.members.count]) }
}
