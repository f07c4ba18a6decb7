/// A user as one identity provider knows them. A subject means something only together with its issuer
/// (OpenID Connect Core §5.7): two providers may use the same one for two people.
///
/// Two are equal when their bytes are; texts that only look the same are different users.
public struct UserIdentity: Sendable, Hashable {
    /// The provider's issuer; `nil` for the default one of the store's ``SessionPolicy``.
    public let issuer: String?
    /// The user's identifier at that provider (`sub`).
    public let subject: String

    /// Names a user.
    public init(issuer: String?, subject: String) {
        self.issuer = issuer
        self.subject = subject
    }

    public static func == (left: UserIdentity, right: UserIdentity) -> Bool {
        sameBytes(left.issuer, right.issuer) && sameBytes(left.subject, right.subject)
    }

    public func hash(into hasher: inout Hasher) { hashBytes(issuer, subject, into: &hasher) }
}

/// A session at an identity provider: the `sid` of its ID tokens and logout tokens (Back-Channel Logout §2.1), which means
/// something only together with its issuer. Equal when the bytes are.
public struct ProviderSession: Sendable, Hashable {
    /// The provider's issuer; `nil` for the default one of the store's ``SessionPolicy``.
    public let issuer: String?
    /// The provider's name for its session.
    public let sid: String

    /// The longest `sid` that is kept, in bytes. The standards set no limit; some providers encrypt a whole record into it.
    public static let maximumLength = 1024

    /// Names a session at a provider.
    public init(issuer: String?, sid: String) {
        self.issuer = issuer
        self.sid = sid
    }

    public static func == (left: ProviderSession, right: ProviderSession) -> Bool {
        sameBytes(left.issuer, right.issuer) && sameBytes(left.sid, right.sid)
    }

    public func hash(into hasher: inout Hasher) { hashBytes(issuer, sid, into: &hasher) }
}

/// Swift compares strings by canonical equivalence; identifiers of a provider are compared as they were sent
/// (OpenID Connect Core §2: case sensitive, RFC 8259 §8.3).
private func sameBytes(_ left: String?, _ right: String?) -> Bool {
    switch (left, right) {
    case (nil, nil): true
    case (let left?, let right?): left.utf8.elementsEqual(right.utf8)
    default: false
    }
}

private func hashBytes(_ issuer: String?, _ name: String, into hasher: inout Hasher) {
    var issuer = issuer ?? ""
    var name = name
    issuer.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    hasher.combine(UInt8(0))
    name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
}

extension SessionPolicy {
    /// The user with the default issuer in the place of none.
    package func resolved(_ user: UserIdentity) -> UserIdentity {
        user.issuer == nil ? UserIdentity(issuer: defaultIssuer, subject: user.subject) : user
    }

    package func resolved(_ user: UserIdentity?) -> UserIdentity? { user.map { resolved($0) } }

    /// The provider session with the default issuer in the place of none.
    package func resolved(_ session: ProviderSession) -> ProviderSession {
        session.issuer == nil ? ProviderSession(issuer: defaultIssuer, sid: session.sid) : session
    }
}
