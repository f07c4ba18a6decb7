public import Cloakroom

import struct Foundation.Date

extension RedisSessionStore: SessionPeek, SessionWatching {
    public func peek(at id: SessionID) async throws -> PeekedSession? {
        if let near = nearPeek(at: id) { return near }
        let now = Date()
        return try await fetch(id, at: now).map { peeked($0, at: now) }
    }

    /// - Parameter now: when it was read.
    func peeked(_ found: SessionRecords.Found, at now: Date) -> PeekedSession {
        // A key without a TTL, which another program must have written, ends at the absolute limit all the same.
        let left = found.timeToLive.flatMap { $0 >= 0 ? Double($0) / 1000 : nil }
        return PeekedSession(
            session: found.session, endsAt: left.map { now.addingTimeInterval($0) } ?? found.session.expiresAt)
    }

    package func nearPeek(at id: SessionID) -> PeekedSession? { nearCache?.peek(id) }

    /// With a near cache; without one Redis reports nothing.
    package var hearsOfOthers: Bool { nearCache != nil && events != nil }

    package func isHeard(_ id: SessionID) -> Bool {
        guard let nearCache, events != nil else { return false }
        return nearCache.isTrusted && nearCache.keeps(id)
    }

    package func watch(_ id: SessionID) { nearCache?.watched.add(id) }
    package func unwatch(_ id: SessionID) { nearCache?.watched.remove(id) }

    package func onChange(_ body: @escaping @Sendable (SessionID, PeekedSession) -> Void) {
        nearCache?.watched.listen(body)
    }
}
