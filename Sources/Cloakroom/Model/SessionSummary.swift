public import struct Foundation.Date

/// What a list shows of a session: enough to recognise it, nothing to use it with.
///
/// Its `description` shows the handle and times, nothing of the user.
public struct SessionSummary: Sendable, Equatable {
    /// The session's name in logs, pages and command output.
    public let handle: SessionHandle
    /// The user (`sub`); `nil` if the provider named none.
    public let subject: String?
    /// The user's name for people: the login name, or else the full name or the e-mail address.
    public let userName: String?
    /// The identity provider, if known.
    public let issuer: String?
    /// The session at the identity provider that it began in (`sid`), if known.
    public let providerSessionID: String?
    /// The browser that it began in, if known.
    public let client: SessionClient?
    /// When it began.
    public let createdAt: Date
    /// When it ends whatever happens.
    public let expiresAt: Date
    /// When it was last used, give or take the interval at which uses are noted; `nil` without an idle limit, as then
    /// no use is noted.
    public let lastSeenAt: Date?

    /// Makes a summary.
    public init(
        handle: SessionHandle, subject: String?, userName: String?, issuer: String? = nil,
        providerSessionID: String?, client: SessionClient? = nil, createdAt: Date, expiresAt: Date, lastSeenAt: Date?
    ) {
        self.issuer = issuer
        self.client = client
        self.handle = handle
        self.subject = subject
        self.userName = userName
        self.providerSessionID = providerSessionID
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.lastSeenAt = lastSeenAt
    }

    /// The summary of a session.
    ///
    /// - Parameters:
    ///   - session: the session.
    ///   - handle: what it is called.
    ///   - lastSeenAt: when it was last used, if uses are noted.
    public init(of session: Session, handle: SessionHandle, lastSeenAt: Date?) {
        self.init(
            handle: handle, subject: session.userInfo.subject, userName: session.userInfo.displayName,
            issuer: session.issuer, providerSessionID: session.providerSessionID, client: session.client,
            createdAt: session.createdAt, expiresAt: session.expiresAt,
            lastSeenAt: lastSeenAt)
    }
}

extension SessionSummary: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "SessionSummary(handle: \(handle), createdAt: \(createdAt), expiresAt: \(expiresAt))"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["handle": handle.description]) }
}

extension SessionSummary {
    /// The user; `nil` if the provider named none.
    public var user: UserIdentity? { subject.map { UserIdentity(issuer: issuer, subject: $0) } }

    /// The session at the identity provider; `nil` if the provider named none.
    public var providerSession: ProviderSession? {
        providerSessionID.map { ProviderSession(issuer: issuer, sid: $0) }
    }

    /// The same with another time of last use, and an issuer where it names none.
    package func with(lastSeenAt: Date?, issuer: String? = nil) -> SessionSummary {
        SessionSummary(
            handle: handle, subject: subject, userName: userName, issuer: self.issuer ?? issuer,
            providerSessionID: providerSessionID, client: client, createdAt: createdAt, expiresAt: expiresAt,
            lastSeenAt: lastSeenAt)
    }
}

/// A part of a list of sessions.
public struct SessionPage: Sendable, Equatable {
    /// Where to go on. Opaque: it is of use to the store that made it, for as long as that runs with the same settings.
    public struct Cursor: Sendable, Hashable {
        /// The cursor as text, for links and command lines.
        public let text: String

        /// Takes a cursor's text back.
        public init(_ text: String) { self.text = text }
    }

    /// The sessions.
    public let sessions: [SessionSummary]
    /// What gives the next page; `nil` after the last.
    public let next: Cursor?

    /// Makes a page.
    public init(sessions: [SessionSummary], next: Cursor?) {
        self.sessions = sessions
        self.next = next
    }
}

extension UserInfo {
    /// A name for people.
    package var displayName: String? { preferredUsername ?? name ?? email }
}
