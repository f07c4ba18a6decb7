public import Cloakroom
import CloakroomRedisClient

import struct Foundation.Date

/// The lease is a key with a TTL that holds what proves its holder. What fences a holder that has lost it is the session's
/// record: new tokens are stored only over the tokens that were read under the lease.
extension RedisSessionStore: RefreshLeaseStore {
    public func acquireRefreshLease(for id: SessionID, lifetime: Duration) async throws -> RefreshLeaseAnswer {
        let token = randomText()
        let acquire = RedisScript.acquireLease.command(
            [keys.refreshLease(id)], [.text(token), .integer(max(1, lifetime.wholeMilliseconds))])
        guard try await calls.write(acquire) == .number(1) else {
            return try await fetch(id, at: Date()) == nil ? .ended : .held
        }
        do {
            // Under the lease, and not from the near cache: its refresh token must be the latest.
            guard let found = try await records.read(id) else {
                await giveBack(id, token)
                return .ended
            }
            return .granted(RefreshLease(id: id, session: found.session, token: token))
        } catch {
            await giveBack(id, token)
            throw error
        }
    }

    public func renewRefreshLease(_ lease: RefreshLease, lifetime: Duration) async throws -> Bool {
        let renew = RedisScript.renewLease.command(
            [keys.refreshLease(lease.id)], [.text(lease.token), .integer(max(1, lifetime.wholeMilliseconds))])
        return try await calls.write(renew) == .number(1)
    }

    public func releaseRefreshLease(_ lease: RefreshLease) async throws {
        _ = try await calls.write(
            RedisScript.releaseLease.command([keys.refreshLease(lease.id)], [.text(lease.token)]))
    }

    public func completeRefresh(_ lease: RefreshLease, tokens: TokenSet) async throws -> RefreshResult {
        let before = lease.session.tokens
        let (session, isRefreshed) = try await refresh(lease.id, tokens: tokens) { $0.tokens == before }
        await giveBack(lease.id, lease.token)
        guard let session else { return .ended }
        if isRefreshed { return .refreshed(session) }
        // An earlier call of ours whose reply was lost may have stored them.
        let isOurs = session.tokens == lease.session.refreshed(with: tokens, at: Date()).tokens
        return isOurs ? .refreshed(session) : .superseded(session)
    }

    public func waitForRefresh(
        of id: SessionID, after stale: Session, atMost limit: Duration
    ) async throws -> RefreshWait {
        let end = ContinuousClock.now + limit
        // A report of the change ends each pause early; the pauses are for where there are no reports.
        var pause = Duration.milliseconds(25)
        while true {
            // The lease first: if it is free by then, what its holder has stored is read after it.
            let isHeld = try await calls.send(.exists([keys.refreshLease(id)])) != .number(0)
            guard let found = try await fetch(id, at: Date()) else { return .ended }
            if found.session.tokens != stale.tokens { return .refreshed(found.session) }
            if !isHeld { return .free }
            let left = end - .now
            guard left > .zero else { return .timedOut }
            if let nearCache, nearCache.isTrusted {
                await nearCache.waitForChange(of: id, atMost: min(pause, left))
            } else {
                try await Task.sleep(for: min(pause, left))
            }
            try Task.checkCancellation()
            pause = min(pause * 2, .milliseconds(200))
        }
    }

    /// A lease that can't be given back ends by itself.
    private func giveBack(_ id: SessionID, _ token: String) async {
        _ = try? await calls.write(RedisScript.releaseLease.command([keys.refreshLease(id)], [.text(token)]))
    }
}
