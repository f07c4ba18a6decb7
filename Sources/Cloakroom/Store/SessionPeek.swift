public import struct Foundation.Date

/// A store that can show a session without that being a use of it, and say when the session ends.
///
/// It is a role of its own, which a store of yours need not have. Without it the gateway has no event streams, and
/// `/auth/me?peek=1` is not answered: a page that is left open would keep its session from ever being idle.
public protocol SessionPeek: Sendable {
    /// How long sessions live.
    var policy: SessionPolicy { get }

    /// The live session of this ID, as it is. Unlike ``SessionStore/session(for:)`` this does not keep it beyond its idle
    /// limit.
    ///
    /// - Returns: `nil` when the ID is unknown, its session has ended, or what is stored is not a session.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func peek(at id: SessionID) async throws -> PeekedSession?
}

/// A session that was looked at, and when it ends.
public struct PeekedSession: Sendable, Equatable {
    /// What the store holds.
    public let session: Session
    /// When it ends unless it is used before: at its absolute limit or at its idle one, whichever is first.
    public let endsAt: Date

    /// Makes the result of a look.
    public init(session: Session, endsAt: Date) {
        self.session = session
        self.endsAt = min(endsAt, session.expiresAt)
    }

    /// The limit at which it ends: ``SessionEndReason/absolute`` or ``SessionEndReason/idle``. Using the session moves the
    /// latter only.
    public var limit: SessionEndReason { session.expiresAt.timeIntervalSince(endsAt) < 1 ? .absolute : .idle }

    /// How many seconds are left, rounded up.
    public func secondsLeft(at now: Date = Date()) -> Int { max(0, Int(endsAt.timeIntervalSince(now).rounded(.up))) }
}

extension SessionPolicy {
    /// A session just used, and the earliest time at which it can end: a use may have been noted a while ago, as far as
    /// ``touchInterval`` allows.
    package func used(_ session: Session, at now: Date = Date()) -> PeekedSession {
        guard let idleTimeout, let touchInterval else {
            return PeekedSession(session: session, endsAt: session.expiresAt)
        }
        return PeekedSession(
            session: session, endsAt: now.addingTimeInterval((idleTimeout - touchInterval) / .seconds(1)))
    }
}

/// A store that can be told which sessions something is open for in this process, such as a page's event stream, and that
/// then hears of each change of them, whoever makes it.
package protocol SessionWatching: SessionPeek, AnyObject {
    /// Whether it hears of what other processes do at all.
    var hearsOfOthers: Bool { get }

    /// Watches a session until ``unwatch(_:)``, once for each call.
    func watch(_ id: SessionID)

    func unwatch(_ id: SessionID)

    /// Whether a change of this watched session would be heard of now. If not, it should be looked at again soon.
    func isHeard(_ id: SessionID) -> Bool

    /// The live session, if it is in memory and may be believed. No use of it.
    func nearPeek(at id: SessionID) -> PeekedSession?

    /// Calls `body` whenever a watched session was changed and lives on. Ends are told of by ``SessionEvents``.
    func onChange(_ body: @escaping @Sendable (SessionID, PeekedSession) -> Void)
}
