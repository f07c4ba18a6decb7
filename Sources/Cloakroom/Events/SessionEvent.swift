public import struct Foundation.Date

/// Something that happened to a session: for logs, audits and metrics, and for pages and sockets that end with it.
///
/// It holds no secret: a session is named by its handle.
public struct SessionEvent: Sendable, Equatable {
    /// What happened.
    public enum Kind: Sendable, Equatable {
        /// A user logged in.
        case began
        /// The session has new tokens.
        case refreshed
        /// The provider gave no new tokens; the session stays. The reason is a short code such as `provider_unavailable`.
        case refreshFailed(reason: String)
        /// The session is over; it is said once of each session in one process.
        case ended(SessionEndReason)
        /// A request or a login was refused. The reason is a short code such as `csrf_required`.
        case denied(reason: String)
        /// Events may have been missed: the listener was too slow for so many, or with `nil`, nobody can tell how many, as
        /// the link to the store was interrupted. Who keeps something open for a session should look at it anew.
        case missed(count: Int?)
    }

    /// What happened.
    public let kind: Kind
    /// To which session; `nil` where there is none.
    public let session: SessionHandle?
    /// Whose session it is, where that is known.
    public let user: UserIdentity?
    /// When it was noticed.
    public let time: Date
    /// The request that it was done for; `nil` where there is none, as when another process did it.
    public let origin: RequestOrigin?

    /// Makes an event: by default one that happened now, for the request that the current task serves.
    public init(
        _ kind: Kind, session: SessionHandle? = nil, user: UserIdentity? = nil, time: Date = Date(),
        origin: RequestOrigin? = RequestOrigin.current
    ) {
        self.origin = origin
        self.kind = kind
        self.session = session
        self.user = user
        self.time = time
    }
}

/// Why a session ended.
public enum SessionEndReason: String, Sendable, CaseIterable {
    /// The user logged out.
    case logout
    /// The same browser logged in again.
    case replaced
    /// It was not used for as long as the idle timeout.
    case idle
    /// It reached its absolute limit.
    case absolute
    /// The user ended it from another session, or in a list of theirs.
    case revokedByUser = "revoked_by_user"
    /// An operator ended it.
    case revokedByOperator = "revoked_by_operator"
    /// The identity provider ended it (OpenID Connect Back-Channel Logout).
    case revokedByProvider = "revoked_by_provider"
    /// The user logged in once more than the limit of sessions per user allows, and this was the oldest.
    case limit
    /// Its tokens are worth nothing any more, and the provider gives no others (`invalid_grant`, RFC 6749 §5.2).
    case invalidGrant = "invalid_grant"
    /// Another process has ended it; that one knows why.
    case elsewhere

    @TaskLocal private static var stated: SessionEndReason?

    /// Calls `body` so that the sessions that it ends have this reason, rather than the one that the store would suppose:
    /// ``logout`` for one that is ended by its ID, ``revokedByUser`` for those of a user, ``revokedByProvider`` for those of
    /// a provider's session.
    public nonisolated(nonsending) func around<Result>(
        _ body: nonisolated(nonsending) () async throws -> Result
    ) async rethrows -> Result {
        try await Self.$stated.withValue(self, operation: body)
    }

    /// What the caller has stated, and else this.
    package var orStated: SessionEndReason { Self.stated ?? self }
}
