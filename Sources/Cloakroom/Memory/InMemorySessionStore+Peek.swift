import struct Foundation.Date

extension InMemorySessionStore: SessionPeek, SessionWatching {
    public func peek(at id: SessionID) async throws -> PeekedSession? { nearPeek(at: id) }

    package func nearPeek(at id: SessionID) -> PeekedSession? {
        guard let entry = shard(of: id).entry(for: id, now: now()) else { return nil }
        let idleEnd = policy.idleTimeout.map { entry.lastUse.addingTimeInterval($0 / .seconds(1)) }
        return PeekedSession(session: entry.session, endsAt: idleEnd ?? entry.session.expiresAt)
    }

    /// No other process has these sessions, and this one tells of what it does.
    package var hearsOfOthers: Bool { true }
    package func isHeard(_ id: SessionID) -> Bool { true }
    package func watch(_ id: SessionID) {}
    package func unwatch(_ id: SessionID) {}
    package func onChange(_ body: @escaping @Sendable (SessionID, PeekedSession) -> Void) {}
}
