import Cloakroom
import Synchronization

/// A part of the near cache: a table behind a lock, bounded in number and bytes, from which the entries that were not used
/// lately go first (the clock algorithm: one bit a use, no list to reorder).
///
/// A read from Redis announces itself by ``begin(_:sealedName:)`` before it is sent and offers its result by ``finish(_:_:)``. If the
/// key was reported changed in between, the result is not kept: it may be older than the report.
final class NearCacheShard: Sendable {
    /// A session's ID with its hash: that is counted once, to choose the shard and in all of the shard's tables.
    struct Key: Hashable {
        let id: SessionID
        let hash: Int

        init(_ id: SessionID) {
            self.id = id
            self.hash = id.hashValue
        }

        static func == (left: Key, right: Key) -> Bool { left.id == right.id }

        func hash(into hasher: inout Hasher) { hasher.combine(hash) }
    }

    /// A reference, so that the table moves and hands out but a pointer.
    final class Entry: Sendable {
        let session: Session
        let name: RecordName
        let bytes: Int
        /// When the entry ends, on the monotonic clock: the session's end or the cache's age limit, whichever is first.
        let deadline: UInt64
        /// When the session ends unless it is used again, on the monotonic clock.
        let end: UInt64
        /// From when on a use must be noted in Redis; `nil` without an idle limit.
        let touchDue: UInt64?
        // Changed under the shard's lock alone; atomic only so that the compiler need not take that on trust.
        fileprivate let isUsed = Atomic<Bool>(false)
        fileprivate let isTouching = Atomic<Bool>(false)

        init(session: Session, name: RecordName, bytes: Int, deadline: UInt64, end: UInt64 = .max, touchDue: UInt64?) {
            self.session = session
            self.name = name
            self.bytes = bytes
            self.deadline = deadline
            self.end = end
            self.touchDue = touchDue
        }
    }

    /// A read under way.
    struct Ticket: Sendable {
        let key: Key
        fileprivate let sequence: UInt64
        fileprivate let sealedName: RecordName?
    }

    struct Hit: Sendable {
        fileprivate let entry: Entry
        /// Whether the caller has to note the use in Redis; of several at once one is told so.
        let mustTouch: Bool

        var session: Session { entry.session }
        var name: RecordName { entry.name }
    }

    /// Where an entry stands in the order in which the hand of the clock passes.
    private struct Slot {
        let key: Key
        let entry: Entry
        let sealedName: RecordName?
    }

    private struct Pending {
        var count = 0
        var invalidatedAt: UInt64 = 0
        var sealedName: RecordName?
    }

    private struct State {
        var slots: [Slot?] = []
        var free: [Int] = []
        var entries: [Key: (entry: Entry, slot: Int)] = [:]
        var pending: [Key: Pending] = [:]
        /// Whose the sealed records are that are kept or being read: their names do not tell.
        var owners: [RecordName: Key] = [:]
        var bytes = 0
        var hand = 0
        var sequence: UInt64 = 0

        mutating func remove(at index: Int) -> Slot? {
            guard let slot = slots[index] else { return nil }
            slots[index] = nil
            free.append(index)
            entries[slot.key] = nil
            bytes -= slot.entry.bytes
            forgetOwner(of: slot.sealedName, slot.key)
            return slot
        }

        mutating func forgetOwner(of name: RecordName?, _ key: Key) {
            if let name, pending[key] == nil, entries[key] == nil { owners[name] = nil }
        }

        /// - Returns: the entry, if there was one.
        mutating func drop(_ key: Key) -> Entry? {
            if pending[key] != nil {
                sequence += 1
                pending[key]?.invalidatedAt = sequence
            }
            guard let slot = entries[key]?.slot else { return nil }
            return remove(at: slot)?.entry
        }

        /// Makes room by one entry, if there is one that nobody watches.
        mutating func evictOne(_ watched: WatchedSessions?) -> Slot? {
            // Twice around: the first may only clear bits.
            for _ in 0..<2 * slots.count {
                hand = (hand + 1) % slots.count
                guard let slot = slots[hand], watched?.contains(slot.key.id) != true else { continue }
                if !slot.entry.isUsed.exchange(false, ordering: .relaxed) { return remove(at: hand) }
            }
            return nil
        }

        mutating func insert(_ entry: Entry, for key: Key, sealedName: RecordName?) {
            if let sealedName { owners[sealedName] = key }
            let slot = Slot(key: key, entry: entry, sealedName: sealedName)
            bytes += entry.bytes
            if let index = free.popLast() {
                slots[index] = slot
                entries[key] = (entry, index)
            } else {
                entries[key] = (entry, slots.count)
                slots.append(slot)
            }
        }
    }

    private let maximumEntries: Int
    private let maximumBytes: Int
    private let watched: WatchedSessions?
    private let state = Mutex(State())

    /// - Parameter watched: which entries stay, beyond the bounds if need be.
    init(maximumEntries: Int, maximumBytes: Int, watched: WatchedSessions? = nil) {
        self.watched = watched
        self.maximumEntries = max(1, maximumEntries)
        self.maximumBytes = maximumBytes
    }

    /// - Parameter now: the monotonic clock, in nanoseconds.
    func hit(_ key: Key, now: UInt64) -> Hit? {
        state.withLock { state in
            guard let (entry, slot) = state.entries[key] else { return nil }
            guard now < entry.deadline else {
                _ = state.remove(at: slot)
                return nil
            }
            // Looked at first: a write would take the memory away from other cores.
            if !entry.isUsed.load(ordering: .relaxed) { entry.isUsed.store(true, ordering: .relaxed) }
            var mustTouch = false
            if let due = entry.touchDue, now >= due {
                mustTouch = !entry.isTouching.exchange(true, ordering: .relaxed)
            }
            return Hit(entry: entry, mustTouch: mustTouch)
        }
    }

    /// The session, if it is kept and its use need not be noted now.
    func free(_ key: Key, now: UInt64) -> Session? {
        state.withLock { state in
            guard let entry = state.entries[key]?.entry, now < entry.deadline, now < entry.touchDue ?? .max else {
                return nil
            }
            if !entry.isUsed.load(ordering: .relaxed) { entry.isUsed.store(true, ordering: .relaxed) }
            return entry.session
        }
    }

    /// The entry, if it is still good; no use of it.
    func peek(_ key: Key, now: UInt64) -> Entry? {
        state.withLock { state in
            guard let entry = state.entries[key]?.entry, now < entry.deadline else { return nil }
            return entry
        }
    }

    /// Announces a read. Must come before the read is sent.
    ///
    /// - Parameter sealedName: the name under which a sealed record of the session may be, if there may be one.
    func begin(_ key: Key, sealedName: RecordName?) -> Ticket {
        state.withLock { state in
            state.pending[key, default: Pending(sealedName: sealedName)].count += 1
            if let sealedName { state.owners[sealedName] = key }
            return Ticket(key: key, sequence: state.sequence, sealedName: sealedName)
        }
    }

    /// Ends a read; keeps `entry` unless the key was reported changed since it began.
    ///
    /// - Returns: how many other entries had to go for it.
    func finish(_ ticket: Ticket, _ entry: Entry?) -> Int {
        state.withLock { state in
            guard var pending = state.pending[ticket.key] else { return 0 }
            pending.count -= 1
            state.pending[ticket.key] = pending.count == 0 ? nil : pending
            guard let entry, pending.invalidatedAt <= ticket.sequence, entry.bytes <= maximumBytes else {
                state.forgetOwner(of: ticket.sealedName, ticket.key)
                return 0
            }
            if let slot = state.entries[ticket.key]?.slot { _ = state.remove(at: slot) }
            var evicted = 0
            while state.entries.count >= maximumEntries || state.bytes + entry.bytes > maximumBytes {
                guard state.evictOne(watched) != nil else { break }
                evicted += 1
            }
            state.insert(entry, for: ticket.key, sealedName: ticket.sealedName)
            return evicted
        }
    }

    /// Forgets a session, and what reads under way will bring of it.
    ///
    /// - Returns: the entry, if there was one.
    @discardableResult
    func drop(_ key: Key) -> Entry? { state.withLock { $0.drop(key) } }

    /// Forgets the session with this sealed record, and what reads under way will bring of it.
    ///
    /// - Returns: the session, if this shard knows it, and the entry, if there was one.
    func drop(sealed name: RecordName) -> (id: SessionID, entry: Entry?)? {
        state.withLock { state in
            guard let key = state.owners[name] else { return nil }
            return (key.id, state.drop(key))
        }
    }

    /// Forgets everything, and what reads under way will bring.
    ///
    /// - Returns: how many entries there were.
    @discardableResult
    func dropAll() -> Int {
        state.withLock { state in
            let count = state.entries.count
            state.sequence += 1
            state.owners = [:]
            for (key, pending) in state.pending {
                state.pending[key]?.invalidatedAt = state.sequence
                if let name = pending.sealedName { state.owners[name] = key }
            }
            state.slots = []
            state.free = []
            state.entries = [:]
            state.bytes = 0
            state.hand = 0
            return count
        }
    }

    func keeps(_ key: Key) -> Bool { state.withLock { $0.entries[key] != nil } }

    var count: Int { state.withLock { $0.entries.count } }
    var bytes: Int { state.withLock { $0.bytes } }
    var pendingCount: Int { state.withLock { $0.pending.count } }
    var ownerCount: Int { state.withLock { $0.owners.count } }
}
