public import Cloakroom
import GRDB

import struct Foundation.Date

/// A lease is two columns of the session's row, so that it ends with the session, and a refresh and its lease are one write.
extension SQLiteSessionStore {
    public func acquireRefreshLease(for id: SessionID, lifetime: Duration) async throws -> RefreshLeaseAnswer {
        let token = SessionID().secret
        return try await write { db in
            guard let found = try self.rows.live(id, db) else { return .ended }
            let now = Milliseconds.now
            guard found.leaseToken == nil || found.leaseEnds <= now else { return .held }
            try db.execute(
                literal: """
                    UPDATE sessions SET lease_token = \(token), lease_ends = \(now + lifetime.milliseconds)
                    WHERE sequence = \(found.sequence)
                    """)
            return .granted(RefreshLease(id: id, session: found.session, token: token))
        }
    }

    public func renewRefreshLease(_ lease: RefreshLease, lifetime: Duration) async throws -> Bool {
        try await write { db in
            let now = Milliseconds.now
            try db.execute(
                literal: """
                    UPDATE sessions SET lease_ends = \(now + lifetime.milliseconds)
                    WHERE handle = \(lease.id.handle.description) AND lease_token = \(lease.token)
                    AND lease_ends > \(now)
                    """)
            return db.changesCount > 0
        }
    }

    public func releaseRefreshLease(_ lease: RefreshLease) async throws {
        try await write { db in try Self.release(lease, db) }
    }

    public func completeRefresh(_ lease: RefreshLease, tokens: TokenSet) async throws -> RefreshResult {
        try await write { db in
            try Self.release(lease, db)
            guard let found = try self.rows.live(lease.id, db) else { return .ended }
            let current = found.session
            let refreshed = current.refreshed(with: tokens, at: Date())
            // Not whether the lease still holds: if nobody else has refreshed, these tokens are the only good ones.
            if current.tokens == lease.session.tokens, current.refreshedAt == lease.session.refreshedAt {
                try self.rows.replace(found, by: refreshed, lease.id, db)
                return .refreshed(refreshed)
            }
            // The same call once more, after its first answer was lost.
            let merged = lease.session.refreshed(with: tokens, at: Date()).tokens
            return current.tokens == merged ? .refreshed(current) : .superseded(current)
        }
    }

    /// Looks again and again, as another process may be the one that refreshes: after 10 milliseconds at first, then less
    /// and less often, every 100 in the end.
    public func waitForRefresh(
        of id: SessionID, after stale: Session, atMost limit: Duration
    ) async throws -> RefreshWait {
        let deadline = ContinuousClock.now + limit
        var pause = Duration.milliseconds(10)
        while true {
            guard let found = try await read({ db in try self.rows.live(id, db) }) else { return .ended }
            if found.session.tokens != stale.tokens { return .refreshed(found.session) }
            guard found.leaseToken != nil, found.leaseEnds > Milliseconds.now else { return .free }
            let now = ContinuousClock.now
            guard now < deadline else { return .timedOut }
            try await Task.sleep(for: min(pause, now.duration(to: deadline)))
            pause = min(pause * 2, .milliseconds(100))
        }
    }

    private static func release(_ lease: RefreshLease, _ db: Database) throws {
        try db.execute(
            literal: """
                UPDATE sessions SET lease_token = NULL, lease_ends = 0
                WHERE handle = \(lease.id.handle.description) AND lease_token = \(lease.token)
                """)
    }
}
