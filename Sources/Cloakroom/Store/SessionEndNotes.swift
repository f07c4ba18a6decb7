/// A store that remembers for a while why sessions ended, so that any replica can tell: the user whose browser still has the
/// cookie, and pages that are open for the session.
///
/// Whoever ends a session in a store notes the reason (``SessionEndReason/around(_:)``). Notes are best effort: an end never
/// fails for want of one, and it may be missing. They hold no user, no address and no ID; they last ten minutes.
public protocol SessionEndNotes: Sendable {
    /// Why a session ended, if that was lately and somebody ended it: never ``SessionEndReason/idle``,
    /// ``SessionEndReason/absolute`` or ``SessionEndReason/elsewhere``.
    ///
    /// Ask only about a session that was found to be over: one that lives may have a note of an end that failed.
    ///
    /// - Returns: `nil` when there is no note, which says nothing about whether the session is over.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func endReason(of session: SessionHandle) async throws -> SessionEndReason?
}

extension SessionEndNotes {
    /// No note: what a store answers that keeps none.
    public func endReason(of session: SessionHandle) async throws -> SessionEndReason? { nil }
}

/// What all stores that keep notes hold to.
package enum EndNotes {
    /// How long a note is kept.
    package static let lifetime = Duration.seconds(600)
}

extension SessionEndReason {
    /// Whether it is noted: whoever finds that a session's time is over sees that without a note.
    package var isNoted: Bool {
        switch self {
        case .idle, .absolute, .elsewhere: false
        case .logout, .replaced, .revokedByUser, .revokedByOperator, .revokedByProvider, .limit, .invalidGrant: true
        }
    }
}
