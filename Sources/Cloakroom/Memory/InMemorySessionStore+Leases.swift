extension InMemorySessionStore: FullSessionStore {}

extension InMemorySessionStore: RefreshLeaseStore {
    public func acquireRefreshLease(for id: SessionID, lifetime: Duration) async throws -> RefreshLeaseAnswer {
        guard let token = leases.acquire(id, lifetime: lifetime) else {
            return shard(of: id).entry(for: id, now: now()) == nil ? .ended : .held
        }
        // Read when the lease is held already: no other's refresh comes after it.
        guard let entry = shard(of: id).entry(for: id, now: now()) else {
            leases.release(id, token: token)
            return .ended
        }
        return .granted(RefreshLease(id: id, session: entry.session, token: token))
    }

    public func renewRefreshLease(_ lease: RefreshLease, lifetime: Duration) async throws -> Bool {
        leases.renew(lease.id, token: lease.token, lifetime: lifetime)
    }

    public func releaseRefreshLease(_ lease: RefreshLease) async throws {
        leases.release(lease.id, token: lease.token)
    }

    public func completeRefresh(_ lease: RefreshLease, tokens: TokenSet) async throws -> RefreshResult {
        let now = now()
        var current: Session?
        let merged = lease.session.tokens.replaced(by: tokens)
        let refreshed = change(lease.id, now: now) { session in
            current = session
            return session.isSameRefresh(as: lease.session) ? session.refreshed(with: tokens, at: now) : nil
        }
        leases.release(lease.id, token: lease.token)
        if let refreshed { return .refreshed(refreshed) }
        guard let current else { return .ended }
        // The same call once more, after its first answer was lost.
        return current.tokens == merged ? .refreshed(current) : .superseded(current)
    }

    public func waitForRefresh(
        of id: SessionID, after stale: Session, atMost limit: Duration
    ) async throws -> RefreshWait {
        let shard = shard(of: id)
        return try await leases.wait(for: id, atMost: limit) {
            guard let session = shard.entry(for: id, now: now())?.session else { return .ended }
            return session.tokens == stale.tokens ? nil : .refreshed(session)
        }
    }
}

extension Session {
    /// Whether no refresh lies between the two.
    fileprivate func isSameRefresh(as other: Session) -> Bool {
        tokens == other.tokens && refreshedAt == other.refreshedAt
    }
}
