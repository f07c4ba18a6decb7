/// Keeps sessions. An app depends on this alone, whichever store is behind it.
///
/// What every store promises, and what the conformance suite of `CloakroomTesting` tests:
/// - a session is gone for every reader once ``deleteSession(_:)`` has returned, and no call in flight brings it back;
/// - nothing extends a session beyond its absolute limit;
/// - a store that can't tell whether a session is live throws; it never answers "no session" because of a failure.
public protocol SessionStore: Sendable {
    /// Stores a new session under a new random ID.
    ///
    /// - Throws: ``SessionStoreError`` when the session could not be stored.
    func createSession(tokens: TokenSet, userInfo: UserInfo) async throws -> SessionID

    /// The live session of this ID. With an idle limit this is a use of it, which keeps it for another idle timeout.
    ///
    /// - Returns: `nil` when the ID is unknown, its session has ended, or what is stored is not a session.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    ///
    /// It runs where its caller does: most calls are answered from memory, and then a change of executor would be the
    /// dearest part. A store that does more than that leaves the caller's actor itself; one without the mark does so anyway.
    nonisolated(nonsending) func session(for id: SessionID) async throws -> Session?

    /// Ends a session. Ending one that does not exist is no error.
    ///
    /// - Throws: ``SessionStoreError`` when the store could not confirm it.
    func deleteSession(_ id: SessionID) async throws

    /// Replaces the tokens of a live session, as ``Session/refreshed(with:at:)`` says; never revives a dead one, and never
    /// moves its end. It is no use of the session: its idle limit stays where it is.
    ///
    /// - Returns: the session as it now stands, or `nil` when it was no longer live, and then nothing was written.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it.
    @discardableResult
    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session?

    /// A round trip to whatever the store stands on.
    ///
    /// - Throws: ``SessionStoreError`` when it does not answer, or answers that it can't serve.
    func ping() async throws
}
