/// Gives sessions access tokens that can be used now. `TokenRefresher` in `CloakroomOIDC` is one.
public protocol SessionRefresher: Sendable {
    /// The session with an access token that can be used now.
    ///
    /// - Parameters:
    ///   - session: the session as the store gave it a moment ago.
    ///   - id: its ID.
    /// - Throws: ``SessionStoreError`` when the store can't tell or could not keep new tokens.
    nonisolated(nonsending) func freshSession(_ session: Session, for id: SessionID) async throws -> RefreshOutcome
}

/// What there is for a session whose access token is wanted.
public enum RefreshOutcome: Sendable, Equatable {
    /// The session with an access token that can be used now.
    case ready(Session)
    /// The session is over; it is no longer in the store.
    case ended
    /// The access token has ended and the provider can't be asked for another before this time is over. The session
    /// stays.
    case providerUnavailable(retryAfter: Duration)
}
