/// Lets one of many, on any replica, refresh a session's tokens while the others wait for its result.
///
/// The right to refresh is a *lease*: it ends by itself unless it is renewed, so that a replica that dies holds nobody up.
/// One that has lost its lease without noticing is *fenced*: its result is not stored.
public protocol RefreshLeaseStore: SessionStore {
    /// Asks for the right to refresh a session.
    ///
    /// - Parameters:
    ///   - id: the session.
    ///   - lifetime: how long the lease lasts unless it is renewed.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func acquireRefreshLease(for id: SessionID, lifetime: Duration) async throws -> RefreshLeaseAnswer

    /// Lets a lease last for another `lifetime` from now on.
    ///
    /// - Returns: `false` when it is lost: it ended, and another may hold one by now.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func renewRefreshLease(_ lease: RefreshLease, lifetime: Duration) async throws -> Bool

    /// Gives a lease back without a result. Giving back one that is lost does nothing.
    ///
    /// - Throws: ``SessionStoreError`` when the store could not confirm it; the lease then ends by itself.
    func releaseRefreshLease(_ lease: RefreshLease) async throws

    /// Replaces the tokens of the lease's session, as ``SessionStore/refreshSession(_:tokens:)`` does, and gives the lease
    /// back; writes nothing when the lease is lost and another has refreshed the session.
    ///
    /// - Throws: ``SessionStoreError`` when the store could not confirm it; it may be called again.
    func completeRefresh(_ lease: RefreshLease, tokens: TokenSet) async throws -> RefreshResult

    /// Waits for the one that holds the lease.
    ///
    /// - Parameters:
    ///   - id: the session.
    ///   - stale: the session as the caller knows it; it waits for other tokens than these.
    ///   - limit: how long to wait at most.
    /// - Throws: ``SessionStoreError`` when the store can't tell; `CancellationError`.
    func waitForRefresh(of id: SessionID, after stale: Session, atMost limit: Duration) async throws -> RefreshWait
}

/// The right to refresh one session's tokens for a while. Its `description` hides what proves it.
public struct RefreshLease: Sendable {
    /// The session.
    public let id: SessionID
    /// The session as it was read under the lease: its refresh token is the one to use.
    public let session: Session
    /// What proves the holder: random, and so unlike that of any other lease. A secret of the store.
    public let token: String

    /// Makes a lease. Stores do this; an app gets its leases from one.
    ///
    /// - Parameters:
    ///   - id: the session's ID.
    ///   - session: as it was read after the lease was taken.
    ///   - token: at least 128 random bits.
    public init(id: SessionID, session: Session, token: String) {
        self.id = id
        self.session = session
        self.token = token
    }
}

extension RefreshLease: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "RefreshLease(session: \(id.handle))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["session": id.handle.description]) }
}

/// The answer to one who asks for a lease.
public enum RefreshLeaseAnswer: Sendable {
    /// The caller has it, and must complete or release it.
    case granted(RefreshLease)
    /// Another has it.
    case held
    /// There is no live session.
    case ended
}

/// What became of a refresh.
public enum RefreshResult: Sendable, Equatable {
    /// The new tokens are stored.
    case refreshed(Session)
    /// Another has refreshed the session meanwhile; this is how it stands now. The caller's tokens were not stored.
    case superseded(Session)
    /// The session is no longer live; nothing was stored.
    case ended
}

/// What a wait for another's refresh brought.
public enum RefreshWait: Sendable, Equatable {
    /// The session has other tokens now.
    case refreshed(Session)
    /// Nobody holds the lease any more, and the tokens are as they were: the caller may ask for it.
    case free
    /// The session is no longer live.
    case ended
    /// The time is over and another still holds the lease.
    case timedOut
}
