import struct Foundation.Date

extension InMemorySessionStore: SessionDirectory {
    public func sessions(ofUser user: UserIdentity) async throws -> [SessionSummary] {
        summaries(of: users.ids(of: policy.resolved(user)))
    }

    public func sessions(ofProviderSession session: ProviderSession) async throws -> [SessionSummary] {
        summaries(of: providerSessions.ids(of: policy.resolved(session)))
    }

    /// A page walks over one shard after the other; the cursor says which shard, and the sequence of the last session.
    public func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        let now = now()
        // More than a page of any use, so that no sum with it can overflow.
        let limit = min(max(1, limit), 100_000)
        var (shard, sequence) = try cursor.map(position) ?? (0, 0)
        var found: [(id: SessionID, entry: SessionShard.Entry)] = []
        while shard < shards.count {
            // One more than is wanted tells whether the shard is done.
            let wanted = limit - found.count
            let entries = shards[shard].entries(after: sequence, limit: wanted + 1, now: now)
            found.append(contentsOf: entries.prefix(wanted))
            if entries.count > wanted { break }
            (shard, sequence) = (shard + 1, 0)
            if found.count == limit { break }
        }
        let next: SessionPage.Cursor?
        if shard == shards.count {
            next = nil
        } else {
            // The last one's, if it is of the shard that is not done.
            if let last = found.last, shards[shard] === self.shard(of: last.id) { sequence = last.entry.sequence }
            next = SessionPage.Cursor("\(shard).\(sequence)")
        }
        return SessionPage(sessions: found.map { summary(of: $0.entry, id: $0.id) }, next: next)
    }

    public func sessionCount() async throws -> Int {
        dropExpired()
        return heldSessionCount
    }

    public func sessionCount(ofUser user: UserIdentity) async throws -> Int {
        let now = now()
        return users.ids(of: policy.resolved(user)).count { shard(of: $0).entry(for: $0, now: now) != nil }
    }

    public func deleteSession(_ handle: SessionHandle, ofUser user: UserIdentity?) async throws -> Bool {
        if let user {
            guard let id = users.ids(of: policy.resolved(user)).first(where: { $0.handle == handle }) else {
                return false
            }
            return end([id], because: .revokedByUser) > 0
        }
        for shard in shards {
            if let id = shard.ids.first(where: { $0.handle == handle }) {
                return end([id], because: .revokedByOperator) > 0
            }
            // A walk over a million sessions must not keep the thread from others.
            await Task.yield()
        }
        return false
    }

    public func deleteSessions(ofUser user: UserIdentity, except kept: SessionID?) async throws -> Int {
        end(users.ids(of: policy.resolved(user)).filter { $0 != kept }, because: .revokedByUser)
    }

    public func deleteSessions(ofProviderSession session: ProviderSession) async throws -> Int {
        end(providerSessions.ids(of: policy.resolved(session)), because: .revokedByProvider)
    }

    public func deleteAllSessions() async throws -> Int {
        var count = 0
        for shard in shards {
            let ended = shard.removeAll(now: now())
            forget(ended, because: .revokedByOperator)
            count += ended.count { $0.wasLive }
        }
        return count
    }

    /// - Returns: how many of them were live.
    private func end(_ ids: some Sequence<SessionID>, because reason: SessionEndReason) -> Int {
        let now = now()
        let ended = ids.compactMap { shard(of: $0).remove($0, now: now) }
        forget(ended, because: reason)
        return ended.count { $0.wasLive }
    }

    private func summaries(of ids: Set<SessionID>) -> [SessionSummary] {
        let now = now()
        let entries = ids.compactMap { id in shard(of: id).entry(for: id, now: now).map { (id: id, entry: $0) } }
        return entries.sorted { $1.entry.isOlder(than: $0.entry) }
            .map { summary(of: $0.entry, id: $0.id) }
    }

    private func summary(of entry: SessionShard.Entry, id: SessionID) -> SessionSummary {
        SessionSummary(
            of: entry.session, handle: id.handle, lastSeenAt: policy.idleTimeout == nil ? nil : entry.lastUse)
    }

    private func position(_ cursor: SessionPage.Cursor) throws(SessionStoreError) -> (shard: Int, sequence: UInt64) {
        let parts = cursor.text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let shard = Int(parts[0]), shards.indices.contains(shard),
            let sequence = UInt64(parts[1])
        else { throw SessionStoreError(.rejected, reason: "the cursor is not one of this store's") }
        return (shard, sequence)
    }
}
