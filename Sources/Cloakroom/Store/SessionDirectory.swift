/// A store whose sessions can be listed, counted and ended by what they are about.
///
/// Lists show ``SessionSummary``, never a token or an ID. A session that was ended is in no list of any replica once the
/// call that ended it has returned.
public protocol SessionDirectory: Sendable {
    /// The live sessions of a user, the newest first.
    ///
    /// - Parameter user: at which provider, and the `sub` there: of another provider's user with the same `sub` nothing is
    ///   shown.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func sessions(ofUser user: UserIdentity) async throws -> [SessionSummary]

    /// The live sessions that began within one session at the identity provider, the newest first.
    ///
    /// - Parameter session: the provider and its `sid` (OpenID Connect Back-Channel Logout §2.1).
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func sessions(ofProviderSession session: ProviderSession) async throws -> [SessionSummary]

    /// A part of all live sessions, in no order. A session that is there all the while is in one page at least; one that
    /// comes or goes meanwhile may be in none, and one may be in two.
    ///
    /// - Parameters:
    ///   - cursor: ``SessionPage/next`` of the page before; `nil` for the first.
    ///   - limit: about how many sessions to return; fewer, or none, does not mean that it was the last page.
    /// - Throws: ``SessionStoreError`` when the store can't tell, or the cursor is not one of its own.
    func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage

    /// How many live sessions there are.
    ///
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func sessionCount() async throws -> Int

    /// How many live sessions a user has.
    ///
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func sessionCount(ofUser user: UserIdentity) async throws -> Int

    /// Ends the session with this handle.
    ///
    /// - Parameters:
    ///   - handle: what lists and logs show of it.
    ///   - user: the user whose session it must be; another's is left alone. `nil` for any user's, which takes a walk
    ///     over all sessions.
    /// - Returns: whether there was one.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it.
    func deleteSession(_ handle: SessionHandle, ofUser user: UserIdentity?) async throws -> Bool

    /// Ends all sessions of a user, but for the one of `kept`.
    ///
    /// - Returns: how many were ended.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it; some may have ended.
    func deleteSessions(ofUser user: UserIdentity, except kept: SessionID?) async throws -> Int

    /// Ends all sessions that began within one session at the identity provider.
    ///
    /// - Returns: how many were ended.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it; some may have ended.
    func deleteSessions(ofProviderSession session: ProviderSession) async throws -> Int

    /// Ends all sessions.
    ///
    /// - Returns: how many were ended.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it; some may have ended.
    func deleteAllSessions() async throws -> Int
}

/// The same for users of the default issuer of the store's ``SessionPolicy``, which is the only one where there is one
/// provider.
extension SessionDirectory {
    /// The live sessions of a user of the default issuer.
    public func sessions(ofUser subject: String) async throws -> [SessionSummary] {
        try await sessions(ofUser: UserIdentity(issuer: nil, subject: subject))
    }

    /// The live sessions within one of the default issuer's.
    public func sessions(ofProviderSession sid: String) async throws -> [SessionSummary] {
        try await sessions(ofProviderSession: ProviderSession(issuer: nil, sid: sid))
    }

    /// How many live sessions a user of the default issuer has.
    public func sessionCount(ofUser subject: String) async throws -> Int {
        try await sessionCount(ofUser: UserIdentity(issuer: nil, subject: subject))
    }

    /// Ends the session with this handle if it is that user's, of the default issuer.
    public func deleteSession(_ handle: SessionHandle, ofUser subject: String) async throws -> Bool {
        try await deleteSession(handle, ofUser: UserIdentity(issuer: nil, subject: subject))
    }

    /// Ends all sessions of a user of the default issuer, but for the one of `kept`.
    public func deleteSessions(ofUser subject: String, except kept: SessionID?) async throws -> Int {
        try await deleteSessions(ofUser: UserIdentity(issuer: nil, subject: subject), except: kept)
    }

    /// Ends all sessions within one of the default issuer's.
    public func deleteSessions(ofProviderSession sid: String) async throws -> Int {
        try await deleteSessions(ofProviderSession: ProviderSession(issuer: nil, sid: sid))
    }
}
