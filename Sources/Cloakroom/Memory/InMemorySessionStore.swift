public import Logging
public import ServiceLifecycle
import Synchronization

package import struct Foundation.Date

/// Sessions in this process's memory: for development and tests.
///
/// Not for production, and it says so in one warning when it is made: its sessions vanish with the process and no other
/// replica sees them. It holds a bounded number of sessions and drops ended ones by itself, on writes and, while
/// ``run()`` runs, every half minute.
public final class InMemorySessionStore: SessionStore, NearSessions, OneTimeRecordStore, Service {
    /// The shards share the bound; each has its lock, so that tasks on different cores seldom meet.
    private static let shardCount = 64

    /// How long sessions live, and how many a user may have.
    public let policy: SessionPolicy
    let shards: [SessionShard]
    let users = InMemoryIndex<UserIdentity>()
    let providerSessions = InMemoryIndex<ProviderSession>()
    let leases = RefreshLeaseTable()
    let records = InMemoryOneTimeRecords(maximumCount: 50_000)
    let endNotes = InMemoryEndNotes()
    let logger: Logger
    private let events: SessionEvents?
    let now: @Sendable () -> Date
    private let maximumSessions: Int
    private let count = Atomic<Int>(0)
    private let sequence = Atomic<UInt64>(0)

    /// Makes an empty store.
    ///
    /// - Parameters:
    ///   - policy: how long sessions live, and how many a user may have.
    ///   - maximumSessions: how many live sessions it takes; one more is refused with ``SessionStoreError/Code/full``, so
    ///     that no one who is logged in is thrown out. As many tombstones are kept at most.
    ///   - events: what to tell of sessions that begin and end.
    ///   - logger: where the warning goes.
    public convenience init(
        policy: SessionPolicy = SessionPolicy(), maximumSessions: Int = 1_000_000, events: SessionEvents? = nil,
        logger: Logger
    ) {
        self.init(policy: policy, maximumSessions: maximumSessions, events: events, logger: logger, now: { Date() })
    }

    package init(
        policy: SessionPolicy, maximumSessions: Int, events: SessionEvents? = nil, logger: Logger,
        now: @escaping @Sendable () -> Date
    ) {
        self.policy = policy
        self.maximumSessions = maximumSessions
        self.shards = (0..<Self.shardCount).map { _ in
            SessionShard(
                idleTimeout: policy.idleTimeout, maximumTombstones: max(16, maximumSessions / Self.shardCount))
        }
        self.logger = logger
        self.events = events
        self.now = now
        logger.warning(
            "InMemorySessionStore is not for production: sessions are lost on restart and no other replica sees them")
    }

    /// How many sessions it holds, ended ones that were not yet dropped included.
    public var heldSessionCount: Int { count.load(ordering: .relaxed) }

    /// How many notes of future ends the shards hold, for tests of their growth.
    package var pendingExpiryCount: Int { shards.reduce(0) { $0 + $1.pendingExpiryCount } }
    /// How many tombstones there are, for tests of their growth.
    package var tombstoneCount: Int { shards.reduce(0) { $0 + $1.tombstoneCount } }
    /// How many users and provider sessions are known, for tests of their growth.
    package var indexedNameCount: Int { users.nameCount + providerSessions.nameCount }

    /// Drops ended sessions every half minute until the service is asked to stop.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            // Being asked to stop is no error.
            while (try? await Task.sleep(for: .seconds(30))) != nil {
                self.dropExpired()
            }
        }
    }

    public func createSession(_ new: NewSession) async throws -> SessionID {
        let now = now()
        let session = try Session(beginningAt: now, policy: policy, new)
        let id = SessionID()
        // It is the newest, and its ID is new, so it is always stored.
        _ = try store(session, for: id, now: now)
        events?.emit(SessionEvent(.began, session: id.handle, user: policy.resolved(session.user)))
        return id
    }

    public nonisolated(nonsending) func session(for id: SessionID) async throws -> Session? {
        shard(of: id).session(for: id, now: now())
    }

    package func nearSession(for id: SessionID) -> Session? { shard(of: id).session(for: id, now: now()) }

    public func deleteSession(_ id: SessionID) async throws {
        if let ended = shard(of: id).remove(id, now: now()) { forget([ended]) }
    }

    public func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        let now = now()
        return change(id, now: now) { $0.refreshed(with: tokens, at: now) }
    }

    public func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        let (ended, other) = shard(of: id).remove(id, now: now()) { $0.tokens == tokens }
        if let other { return .changed(other) }
        guard let ended else { return .absent }
        forget([ended], because: .invalidGrant)
        return ended.wasLive ? .ended : .absent
    }

    public func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        let shard = shard(of: id)
        while let session = shard.entry(for: id, now: now())?.session {
            // The caller's code runs without the lock, so it is done again when another was faster.
            var attributes = session.attributes
            try change(&attributes)
            let updated = try session.updated(with: attributes)
            let stored = shard.change(id, now: now()) { entry -> Session? in
                guard entry.session.attributes == session.attributes else { return nil }
                entry.session.attributes = updated.attributes
                return entry.session
            }
            if let stored, let session = stored { return session }
            try Task.checkCancellation()
        }
        return nil
    }

    /// Does nothing: the memory is here.
    public func ping() async throws {}

    public func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try records.put(record, key: key, lifetime: lifetime, now: now())
    }

    public func putRecordIfAbsent(_ record: [UInt8], key: String, lifetime: Duration) async throws -> Bool {
        try records.put(record, key: key, lifetime: lifetime, ifAbsent: true, now: now())
    }

    public func readRecord(key: String) async throws -> [UInt8]? {
        records.read(key: key, now: now())
    }

    public func takeRecord(key: String) async throws -> [UInt8]? {
        records.take(key: key, now: now())
    }

    // MARK: What the other protocols share

    func shard(of id: SessionID) -> SessionShard {
        shards[Int(truncatingIfNeeded: UInt(bitPattern: id.hashValue) % UInt(Self.shardCount))]
    }

    func dropExpired() {
        let now = now()
        for shard in shards { forget(shard.dropExpired(now: now)) }
        records.dropExpired(now: now)
        leases.dropExpired()
    }

    /// Stores a session, which ends the user's oldest ones beyond the limit.
    ///
    /// - Parameter isTransfer: whether it comes from another store: then it is older than those here of the same second, or
    ///   it would end one of them that a reader has just seen.
    /// - Returns: whether it was stored; not when it is known already, has a tombstone or is itself beyond the limit.
    func store(
        _ session: Session, for id: SessionID, now: Date, isTransfer: Bool = false
    ) throws(SessionStoreError) -> Bool {
        try reserve()
        var session = session
        session.issuer = session.issuer ?? policy.defaultIssuer
        let entry = SessionShard.Entry(
            session: session, lastUse: now, sequence: sequence.add(1, ordering: .relaxed).newValue)
        // Before the session, so that whoever ends it finds the hint to remove.
        let providerSession = session.providerSession
        if let providerSession { providerSessions.add(id, to: providerSession) }
        let (isStored, ended) = insert(entry, for: id, now: now, isTransfer: isTransfer)
        if !isStored {
            count.subtract(1, ordering: .relaxed)
            if let providerSession { removeHint(id, of: providerSession, from: providerSessions) }
        }
        forget(ended, because: .limit, isStated: false)
        return isStored
    }

    /// Changes the tokens of a live session by `body`, and wakes who waits for that.
    ///
    /// - Returns: what `body` made of it; `nil` when it is not live, or `body` left it as it is.
    func change(_ id: SessionID, now: Date, _ body: (Session) -> Session?) -> Session? {
        let changed = shard(of: id).change(id, now: now) { entry -> Session? in
            guard let session = body(entry.session) else { return nil }
            entry.session = session
            return session
        }
        guard let changed, let changed else { return nil }
        leases.sessionChanged(id)
        return changed
    }

    /// Tidies up after sessions that are gone, and tells of them.
    ///
    /// - Parameters:
    ///   - reason: why they are gone, if they were live until now.
    ///   - isStated: whether what the caller has stated is the reason instead.
    func forget(_ ended: [SessionShard.Ended], because reason: SessionEndReason = .logout, isStated: Bool = true) {
        guard !ended.isEmpty else { return }
        let reason = isStated ? reason.orStated : reason
        if ended.contains(where: \.wasLive) {
            let now = now()
            for session in ended where session.wasLive { endNotes.add(session.id.handle, reason, now: now) }
        }
        if let events {
            for session in ended {
                let past: SessionEndReason = session.isPastAbsoluteLimit ? .absolute : .idle
                events.emit(
                    SessionEvent(
                        .ended(session.wasLive ? reason : past), session: session.id.handle, user: session.user))
            }
        }
        count.subtract(ended.count, ordering: .relaxed)
        for session in ended {
            if let user = session.user { removeHint(session.id, of: user, from: users) }
            if let other = session.providerSession { removeHint(session.id, of: other, from: providerSessions) }
            leases.sessionChanged(session.id)
        }
    }

    private func reserve() throws(SessionStoreError) {
        guard count.add(1, ordering: .relaxed).newValue > maximumSessions else { return }
        dropExpired()
        guard heldSessionCount <= maximumSessions else {
            count.subtract(1, ordering: .relaxed)
            throw SessionStoreError(.full, reason: "the in-memory store holds \(maximumSessions) sessions")
        }
    }

    private func insert(
        _ entry: SessionShard.Entry, for id: SessionID, now: Date, isTransfer: Bool
    ) -> (isStored: Bool, ended: [SessionShard.Ended]) {
        let shard = shard(of: id)
        guard let user = entry.session.user else {
            var ended: [SessionShard.Ended] = []
            return (shard.insert(entry, for: id, now: now, ended: &ended), ended)
        }
        // While the user's sessions are locked no other login of theirs comes between counting and storing.
        return users.withIDs(of: user) { ids in
            var ended: [SessionShard.Ended] = []
            guard !shard.knows(id, now: now),
                makeRoom(for: entry, in: &ids, now: now, isTransfer: isTransfer, ended: &ended),
                shard.insert(entry, for: id, now: now, ended: &ended)
            else { return (false, ended) }
            ids.insert(id)
            return (true, ended)
        }
    }

    /// Ends the oldest of a user's sessions, so that there is room for one more.
    ///
    /// - Returns: `false` when the one more is older than they are.
    private func makeRoom(
        for entry: SessionShard.Entry, in ids: inout Set<SessionID>, now: Date, isTransfer: Bool,
        ended: inout [SessionShard.Ended]
    ) -> Bool {
        guard let maximum = policy.maximumPerUser, ids.count >= maximum else { return true }
        var others = ids.compactMap { id in shard(of: id).entry(for: id, now: now).map { (id: id, entry: $0) } }
        let excess = others.count + 1 - maximum
        guard excess > 0 else { return true }
        others.sort { $0.entry.isOlder(than: $1.entry) }
        let last = others[excess - 1].entry
        guard isTransfer ? entry.session.createdAt > last.session.createdAt : !entry.isOlder(than: last) else {
            return false
        }
        for (id, _) in others.prefix(excess) {
            if let removed = shard(of: id).remove(id, now: now) { ended.append(removed) }
            ids.remove(id)
        }
        return true
    }

    /// Removes a hint, unless there is such a session again.
    private func removeHint<Name>(_ id: SessionID, of name: Name, from index: InMemoryIndex<Name>) {
        index.withIDs(of: name) { ids in
            if !shard(of: id).holds(id) { ids.remove(id) }
        }
    }
}

extension SessionShard.Entry {
    /// Whether it began before another, or, within the same second, was stored before it.
    func isOlder(than other: SessionShard.Entry) -> Bool {
        (session.createdAt, sequence) < (other.session.createdAt, other.sequence)
    }
}
