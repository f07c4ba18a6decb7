import Cloakroom
import CloakroomRedisClient
import Metrics
import NIOCore
import Synchronization

import struct Foundation.Date

/// Sessions that were read lately, in this process's memory, true for as long as Redis says so.
///
/// What keeps it true: Redis reports each change of a key that was read (`CLIENT TRACKING`), on the connection that read it
/// and in order; an entry dies at its report, and all of them when reports may have been missed. Besides, nothing is served
/// unless all connections have been heard of within the last second: a process that was stopped, or a network that went
/// silent, ends trust by itself. Where Redis reports nothing, nothing is kept.
final class NearCache: InvalidationObserver {
    /// Tasks on different cores seldom meet at one lock.
    private static let shardCount = 32

    /// A read under way.
    struct Ticket: Sendable {
        fileprivate let shard: NearCacheShard.Ticket
        fileprivate let epoch: UInt64
    }

    /// What a read from Redis brought.
    struct Read {
        let session: Session
        let name: RecordName
        /// About how much memory the session takes.
        let bytes: Int
        /// How long it may be kept, in milliseconds.
        let lifetime: Int
        /// After how many milliseconds a use must be noted in Redis; `nil` for never.
        let untilTouch: Int?
    }

    private let keys: KeySchema
    private let maximumAge: UInt64
    private let shards: [NearCacheShard]
    /// Until when entries may be believed, in nanoseconds of the monotonic clock.
    private let trustedUntil = Atomic<UInt64>(0)
    /// How often everything was forgotten.
    private let epoch = Atomic<UInt64>(0)
    private let waiters = ChangeWaiters()
    /// Sessions that stay, and are read anew whenever they are dropped, so that their next change is heard of too.
    let watched = WatchedSessions()
    private let metrics = NearCacheMetrics()
    /// What finds out whether a session that was reported changed has ended; `nil` if no one wants to know.
    private let endWatch: EndWatch?

    init(_ configuration: NearCacheConfiguration, keys: KeySchema, endWatch: EndWatch? = nil) {
        self.keys = keys
        self.endWatch = endWatch
        self.maximumAge = UInt64(max(0, configuration.maximumAge.wholeMilliseconds)) * 1_000_000
        self.shards = (0..<Self.shardCount).map { [watched] _ in
            NearCacheShard(
                maximumEntries: configuration.maximumEntries / Self.shardCount,
                maximumBytes: configuration.maximumBytes / Self.shardCount, watched: watched)
        }
    }

    private static func now() -> UInt64 { NIODeadline.now().uptimeNanoseconds }

    private func shard(of key: NearCacheShard.Key) -> NearCacheShard {
        shards[Int(truncatingIfNeeded: UInt(bitPattern: key.hash) % UInt(Self.shardCount))]
    }

    /// Whether entries may be believed now.
    var isTrusted: Bool { Self.now() < trustedUntil.load(ordering: .acquiring) }

    // MARK: Serving

    /// The session, if it is kept and may be believed.
    func hit(_ id: SessionID) -> NearCacheShard.Hit? {
        let now = Self.now()
        let key = NearCacheShard.Key(id)
        guard now < trustedUntil.load(ordering: .acquiring), let hit = shard(of: key).hit(key, now: now) else {
            metrics.misses.increment()
            return nil
        }
        metrics.hits.increment()
        return hit
    }

    /// The session, if it is kept, may be believed, and its use need not be noted now. A miss is counted by whoever asks for
    /// it in the other way then.
    func free(_ id: SessionID) -> Session? {
        let now = Self.now()
        let key = NearCacheShard.Key(id)
        guard now < trustedUntil.load(ordering: .acquiring), let session = shard(of: key).free(key, now: now) else {
            return nil
        }
        metrics.hits.increment()
        return session
    }

    /// The session, if it is kept and may be believed, and when it ends unless it is used. No use of it.
    func peek(_ id: SessionID) -> PeekedSession? {
        let now = Self.now()
        let key = NearCacheShard.Key(id)
        guard now < trustedUntil.load(ordering: .acquiring), let entry = shard(of: key).peek(key, now: now) else {
            return nil
        }
        return PeekedSession(
            session: entry.session, endsAt: Date().addingTimeInterval(Double(entry.end - min(now, entry.end)) / 1e9))
    }

    /// Announces a read of the records of these names, one of which may be the session's. Must come before it is sent.
    ///
    /// - Returns: `nil` when nothing can be kept now.
    func begin(_ id: SessionID, names: [RecordName]) -> Ticket? {
        let epoch = epoch.load(ordering: .acquiring)
        guard isTrusted else { return nil }
        let key = NearCacheShard.Key(id)
        return Ticket(shard: shard(of: key).begin(key, sealedName: names.first(where: \.isSealed)), epoch: epoch)
    }

    /// Ends a read and keeps its result, if it has one and it may be believed.
    func finish(_ ticket: Ticket, _ read: Read?) {
        let now = Self.now()
        var entry: NearCacheShard.Entry?
        if let read, ticket.epoch == epoch.load(ordering: .acquiring) {
            entry = NearCacheShard.Entry(
                session: read.session, name: read.name, bytes: read.bytes,
                deadline: now + min(maximumAge, UInt64(max(0, read.lifetime)) * 1_000_000),
                end: now + UInt64(max(0, read.lifetime)) * 1_000_000,
                touchDue: read.untilTouch.map { now + UInt64(max(0, $0)) * 1_000_000 })
        }
        let key = ticket.shard.key
        metrics.evictions.increment(by: shard(of: key).finish(ticket.shard, entry))
        // Everything may have been forgotten just before the entry came in.
        if entry != nil, ticket.epoch != epoch.load(ordering: .acquiring) { drop(key.id) }
    }

    /// Forgets a session that this process has changed.
    func drop(_ id: SessionID) {
        lookAgain(id, drop(NearCacheShard.Key(id)))
        waiters.wake(id)
    }

    /// What was dropped is not reported again: somebody must read it who wants to hear of it.
    private func lookAgain(_ id: SessionID, _ dropped: NearCacheShard.Entry?) {
        guard let dropped, watched.contains(id) else { return }
        endWatch?.changed(id, dropped.session, end: dropped.end)
    }

    /// - Returns: the entry, if there was one.
    @discardableResult
    private func drop(_ key: NearCacheShard.Key) -> NearCacheShard.Entry? { shard(of: key).drop(key) }

    /// Forgets the session of this record.
    func drop(_ name: RecordName) {
        if let id = name.id { return drop(id) }
        for shard in shards {
            guard let (id, entry) = shard.drop(sealed: name) else { continue }
            lookAgain(id, entry)
            waiters.wake(id)
        }
    }

    /// Forgets everything.
    func dropAll() {
        epoch.add(1, ordering: .acquiringAndReleasing)
        var count = 0
        for shard in shards { count += shard.dropAll() }
        metrics.invalidations.increment(by: count)
        waiters.wakeAll()
        // What Redis would have reported of them is not heard any more.
        if count > 0 { endWatch?.lostSight() }
    }

    /// Waits until a session that was read is reported changed, or for `limit`.
    func waitForChange(of id: SessionID, atMost limit: Duration) async { await waiters.wait(for: id, atMost: limit) }

    /// Whether a session is kept, believed or not.
    func keeps(_ id: SessionID) -> Bool {
        let key = NearCacheShard.Key(id)
        return shard(of: key).keeps(key)
    }

    /// What is kept now.
    var usage: (entries: Int, bytes: Int) {
        shards.reduce((0, 0)) { ($0.0 + $1.count, $0.1 + $1.bytes) }
    }

    // MARK: What Redis reports

    func invalidated(_ changed: [ByteBuffer]?) {
        guard let changed else { return dropAll() }
        for buffer in changed {
            guard let name = keys.name(ofSessionKey: String(buffer: buffer)) else { continue }
            if let id = name.id { invalidated(id, drop(NearCacheShard.Key(id))) }
            guard name.isSealed else { continue }
            // A sealed name does not tell whose it is, and so not which shard to ask.
            for shard in shards {
                guard let (id, entry) = shard.drop(sealed: name) else { continue }
                invalidated(id, entry)
            }
        }
    }

    private func invalidated(_ id: SessionID, _ entry: NearCacheShard.Entry?) {
        if let entry {
            metrics.invalidations.increment()
            endWatch?.changed(id, entry.session, end: entry.end)
        }
        waiters.wake(id)
    }

    func trackingInterrupted() {
        trustedUntil.store(0, ordering: .releasing)
        dropAll()
    }

    func trackingConfirmed(until deadline: NIODeadline) {
        trustedUntil.store(deadline.uptimeNanoseconds, ordering: .releasing)
    }
}

/// The near cache's counters.
struct NearCacheMetrics: Sendable {
    let hits = Counter(label: "cloakroom_near_cache_hits_total")
    let misses = Counter(label: "cloakroom_near_cache_misses_total")
    let invalidations = Counter(label: "cloakroom_near_cache_invalidations_total")
    let evictions = Counter(label: "cloakroom_near_cache_evictions_total")
}
