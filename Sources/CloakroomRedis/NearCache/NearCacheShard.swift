import Cloakroom
import Synchronization

/// A part of the near cache: a table behind a lock, bounded in number and bytes, from which the entries that were not used
/// lately go first (the clock algorithm: one bit a use, no list to reorder).
///
/// A read from Redis announces itself by ``begin(_:sealedName:)`` before it is sent and offers its result by ``finish(_:_:)``. If the
/// key was reported changed in between, the result is not kept: it may be older than the report.
final class NearCacheShard: Sendable {
    /// A reference, as a session is a large value and the table moves its slots about.
    final class Entry: Sendable {
        let session: Session
        let name: RecordName
        let bytes: Int
        /// When the entry ends, on the monotonic clock: the session's end or the cache's age limit, whichever is first.
        let deadline: UInt64
        /// From when on a use must be noted in Redis; `nil` without an idle limit.
        let touchDue: UInt64?

        init(session: Session, name: RecordName, bytes: Int, deadline: UInt64, touchDue: UInt64?) {
            self.session = session
            self.name = name
            self.bytes = bytes
            self.deadline = deadline
            self.touchDue = touchDue
        }
    }

    /// A read under way.
    struct Ticket: Sendable {
        let id: SessionID
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

    private struct Slot {
        let id: SessionID
        let entry: Entry
        let sealedName: RecordName?
        var isUsed = false
        var isTouching = false
    }

    private struct Pending {
        var count = 0
        var invalidatedAt: UInt64 = 0
        var sealedName: RecordName?
    }

    private struct State {
        var slots: [Slot?] = []
        var free: [Int] = []
        var indexes: [SessionID: Int] = [:]
        var pending: [SessionID: Pending] = [:]
        /// Whose the sealed records are that are kept or being read: their names do not tell.
        var owners: [RecordName: SessionID] = [:]
        var bytes = 0
        var hand = 0
        var sequence: UInt64 = 0

        mutating func remove(at index: Int) -> Slot? {
            guard let slot = slots[index] else { return nil }
            slots[index] = nil
            free.append(index)
            indexes[slot.id] = nil
            bytes -= slot.entry.bytes
            forgetOwner(of: slot.sealedName, slot.id)
            return slot
        }

        mutating func forgetOwner(of name: RecordName?, _ id: SessionID) {
            if let name, pending[id] == nil, indexes[id] == nil { owners[name] = nil }
        }

        /// - Returns: whether there was an entry.
        mutating func drop(_ id: SessionID) -> Bool {
            if pending[id] != nil {
                sequence += 1
                pending[id]?.invalidatedAt = sequence
            }
            guard let index = indexes[id] else { return false }
            return remove(at: index) != nil
        }

        /// Makes room by one entry.
        mutating func evictOne() -> Slot? {
            // Twice around: the first may only clear bits.
            for _ in 0..<2 * slots.count {
                hand = (hand + 1) % slots.count
                guard let slot = slots[hand] else { continue }
                if slot.isUsed { slots[hand]?.isUsed = false } else { return remove(at: hand) }
            }
            return nil
        }

        mutating func insert(_ entry: Entry, for id: SessionID, sealedName: RecordName?) {
            if let sealedName { owners[sealedName] = id }
            let slot = Slot(id: id, entry: entry, sealedName: sealedName)
            bytes += entry.bytes
            if let index = free.popLast() {
                slots[index] = slot
                indexes[id] = index
            } else {
                indexes[id] = slots.count
                slots.append(slot)
            }
        }
    }

    private let maximumEntries: Int
    private let maximumBytes: Int
    private let state = Mutex(State())

    init(maximumEntries: Int, maximumBytes: Int) {
        self.maximumEntries = max(1, maximumEntries)
        self.maximumBytes = maximumBytes
    }

    /// - Parameter now: the monotonic clock, in nanoseconds.
    func hit(_ id: SessionID, now: UInt64) -> Hit? {
        state.withLock { state in
            guard let index = state.indexes[id], let slot = state.slots[index] else { return nil }
            guard now < slot.entry.deadline else {
                _ = state.remove(at: index)
                return nil
            }
            if !slot.isUsed { state.slots[index]?.isUsed = true }
            var mustTouch = false
            if let due = slot.entry.touchDue, now >= due, !slot.isTouching {
                state.slots[index]?.isTouching = true
                mustTouch = true
            }
            return Hit(entry: slot.entry, mustTouch: mustTouch)
        }
    }

    /// Announces a read. Must come before the read is sent.
    ///
    /// - Parameter sealedName: the name under which a sealed record of the session may be, if there may be one.
    func begin(_ id: SessionID, sealedName: RecordName?) -> Ticket {
        state.withLock { state in
            state.pending[id, default: Pending(sealedName: sealedName)].count += 1
            if let sealedName { state.owners[sealedName] = id }
            return Ticket(id: id, sequence: state.sequence, sealedName: sealedName)
        }
    }

    /// Ends a read; keeps `entry` unless the key was reported changed since it began.
    ///
    /// - Returns: how many other entries had to go for it.
    func finish(_ ticket: Ticket, _ entry: Entry?) -> Int {
        state.withLock { state in
            guard var pending = state.pending[ticket.id] else { return 0 }
            pending.count -= 1
            state.pending[ticket.id] = pending.count == 0 ? nil : pending
            guard let entry, pending.invalidatedAt <= ticket.sequence, entry.bytes <= maximumBytes else {
                state.forgetOwner(of: ticket.sealedName, ticket.id)
                return 0
            }
            if let index = state.indexes[ticket.id] { _ = state.remove(at: index) }
            var evicted = 0
            while state.indexes.count >= maximumEntries || state.bytes + entry.bytes > maximumBytes {
                guard state.evictOne() != nil else { break }
                evicted += 1
            }
            state.insert(entry, for: ticket.id, sealedName: ticket.sealedName)
            return evicted
        }
    }

    /// Forgets a session, and what reads under way will bring of it.
    ///
    /// - Returns: whether there was an entry.
    @discardableResult
    func drop(_ id: SessionID) -> Bool { state.withLock { $0.drop(id) } }

    /// Forgets the session with this sealed record, and what reads under way will bring of it.
    ///
    /// - Returns: the session, if this shard knows it, and whether there was an entry.
    func drop(sealed name: RecordName) -> (id: SessionID, wasKept: Bool)? {
        state.withLock { state in
            guard let id = state.owners[name] else { return nil }
            return (id, state.drop(id))
        }
    }

    /// Forgets everything, and what reads under way will bring.
    ///
    /// - Returns: how many entries there were.
    @discardableResult
    func dropAll() -> Int {
        state.withLock { state in
            let count = state.indexes.count
            state.sequence += 1
            state.owners = [:]
            for (id, pending) in state.pending {
                state.pending[id]?.invalidatedAt = state.sequence
                if let name = pending.sealedName { state.owners[name] = id }
            }
            state.slots = []
            state.free = []
            state.indexes = [:]
            state.bytes = 0
            state.hand = 0
            return count
        }
    }

    var count: Int { state.withLock { $0.indexes.count } }
    var bytes: Int { state.withLock { $0.bytes } }
    var pendingCount: Int { state.withLock { $0.pending.count } }
    var ownerCount: Int { state.withLock { $0.owners.count } }
}
