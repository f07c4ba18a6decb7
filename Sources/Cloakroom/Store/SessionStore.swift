/// Keeps sessions. An app depends on this alone, whichever store is behind it.
///
/// What every store promises, and what the conformance suite of `CloakroomTesting` tests:
/// - a session is gone for every reader once ``deleteSession(_:)`` has returned, and no call in flight brings it back;
/// - nothing extends a session beyond its absolute limit;
/// - a store that can't tell whether a session is live throws; it never answers "no session" because of a failure.
public protocol SessionStore: Sendable {
    /// Stores a new session under a new random ID.
    ///
    /// - Throws: ``SessionStoreError`` when the session could not be stored; ``SessionAttributesError`` when its attributes
    ///   are not fit to be.
    func createSession(_ new: NewSession) async throws -> SessionID

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

    /// Ends a session if its tokens are still these, as one step: a session whose tokens another replica has replaced
    /// meanwhile lives on.
    ///
    /// - Throws: ``SessionStoreError`` when the store could not confirm it.
    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd

    /// Changes the app's own data in a live session. Of any number of calls at once, on any replica, each sees what those
    /// before it have written, and none is lost. Never revives a dead session, and never moves its end or its idle limit.
    ///
    /// - Parameters:
    ///   - id: the session.
    ///   - change: may be called more than once, when others change the session at the same time; it should do nothing but
    ///     change what it gets.
    /// - Returns: the session as it now stands, or `nil` when it was no longer live, and then nothing was written.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it; ``SessionAttributesError`` when what `change`
    ///   made is not fit to be stored; what `change` throws. Nothing was written in the latter two cases.
    @discardableResult
    func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session?

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

extension SessionStore {
    /// Stores a new session under a new random ID: the short form of ``createSession(_:)``.
    ///
    /// - Throws: ``SessionStoreError`` when the session could not be stored.
    public func createSession(tokens: TokenSet, userInfo: UserInfo) async throws -> SessionID {
        try await createSession(NewSession(tokens: tokens, userInfo: userInfo))
    }
}

/// What became of a session that was to end only if its tokens were still the same.
public enum ConditionalEnd: Sendable, Equatable {
    /// It has ended.
    case ended
    /// There is no live session, and was none.
    case absent
    /// It has other tokens, and lives on.
    case changed(Session)
}
