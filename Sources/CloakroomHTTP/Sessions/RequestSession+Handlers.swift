public import Cloakroom
import Synchronization

/// What a handler of an app's own does with the session of its request.
extension RequestSession {
    /// The session that this request was found to have, as it was last seen; `nil` as long as nobody has asked for it.
    public var known: LiveSession? { state.withLock { $0.resolved } ?? nil }

    /// Says who keeps access tokens fresh, after ``look(at:in:cookies:)``; see ``withFreshToken()``.
    public func refreshTokens(by refresher: any SessionRefresher) { state.withLock { $0.refresher = refresher } }

    /// The session with an access token that can be used now; `nil` when the request has no live one. Without a refresher
    /// it is the same as ``current()``.
    ///
    /// - Throws: ``ProviderUnavailableError`` when the token has ended and the provider gives no other at the moment;
    ///   `SessionStoreError` when the store can't tell. Both mean 503, and the session stays.
    public func withFreshToken() async throws -> LiveSession? {
        guard let live = try await current() else { return nil }
        guard let refresher = state.withLock({ $0.refresher }) else { return live }
        switch try await refresher.freshSession(live.session, for: live.id) {
        case .ready(let session): return replace(session, of: live.id)
        case .ended:
            forget()
            return nil
        case .providerUnavailable(let time): throw ProviderUnavailableError(retryAfter: time)
        }
    }

    /// The app's own data in the session, as it was last seen; none without a session.
    ///
    /// - Throws: `SessionStoreError` when the store can't tell.
    public var attributes: SessionAttributes {
        get async throws { try await current()?.session.attributes ?? SessionAttributes() }
    }

    /// Changes the app's own data in the session, as `SessionStore.updateSession(_:_:)` says: of any number of calls at
    /// once, on any replica, none is lost.
    ///
    /// - Parameter change: may be called more than once; it should do nothing but change what it gets.
    /// - Returns: the session as it now stands; `nil` when there is no live one, and then nothing was written.
    /// - Throws: `SessionStoreError` when the store could not confirm it; `SessionAttributesError` when what `change` made
    ///   is not fit to be stored; what `change` throws. Nothing was written in the latter two cases.
    @discardableResult
    public func update(
        _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> LiveSession? {
        guard let live = try await current(), let store = state.withLock({ $0.store }) else { return nil }
        guard let session = try await store.updateSession(live.id, change) else {
            forget()
            return nil
        }
        return replace(session, of: live.id)
    }

    /// Notes how the session stands by now.
    private func replace(_ session: Session, of id: SessionID) -> LiveSession {
        let live = LiveSession(id: id, session: session)
        state.withLock { $0.resolved = .some(live) }
        return live
    }
}
