/// A store that may know a session without asking anyone.
package protocol NearSessions: AnyObject, Sendable {
    /// The live session, if it is in memory, may be believed, and its use need not be noted elsewhere. This is a use of it.
    ///
    /// - Returns: `nil` if that can't be told here and now. It does not mean that there is no session: ask
    ///   ``SessionStore/session(for:)``.
    func nearSession(for id: SessionID) -> Session?
}
