import HeapModule
import Synchronization

import struct Foundation.Date
import typealias Foundation.TimeInterval

/// A part of the in-memory store: a table of sessions behind a lock, the tombstones of ended ones, and heaps that know
/// which may be over.
final class SessionShard: Sendable {
    /// A session as it is kept.
    struct Entry: Sendable {
        var session: Session
        /// When it was last used, or created or taken over.
        var lastUse: Date
        /// Grows from each session that was stored to the next.
        let sequence: UInt64
    }

    /// What is left to tidy up after a session that is gone.
    struct Ended: Sendable {
        let id: SessionID
        let user: UserIdentity?
        let providerSession: ProviderSession?
        /// Whether it was live until now.
        let wasLive: Bool
        /// Whether its absolute limit has come.
        let isPastAbsoluteLimit: Bool
    }

    /// The heap's view of an entry. The entry's own deadline decides, as it may have moved since, and the entry may be
    /// gone; both are found out when its turn comes.
    private struct Expiry: Comparable {
        let deadline: Date
        let id: SessionID

        static func < (left: Expiry, right: Expiry) -> Bool { left.deadline < right.deadline }
    }

    private struct State {
        var entries: [SessionID: Entry] = [:]
        var expiries = Heap<Expiry>()
        /// When those who ended sessions allow them to be forgotten.
        var tombstones: [SessionID: Date] = [:]
        var tombstoneExpiries = Heap<Expiry>()

        /// Logins and logouts in turn would grow the heap until their sessions' natural end.
        mutating func compactIfStale(_ deadline: (Entry) -> Date) {
            guard expiries.count > 2 * entries.count + 64 else { return }
            expiries = Heap(entries.map { Expiry(deadline: deadline($0.value), id: $0.key) })
        }

        mutating func dropTombstones(now: Date) {
            while let first = tombstoneExpiries.min, first.deadline <= now {
                _ = tombstoneExpiries.popMin()
                if let end = tombstones[first.id], end <= now { tombstones[first.id] = nil }
            }
        }
    }

    private let idleTimeout: TimeInterval?
    private let maximumTombstones: Int
    private let state = Mutex(State())

    init(idleTimeout: Duration?, maximumTombstones: Int) {
        self.idleTimeout = idleTimeout.map { $0 / .seconds(1) }
        self.maximumTombstones = maximumTombstones
    }

    /// Stores a session unless there is one under this ID, or its tombstone.
    ///
    /// - Parameter ended: gets those that were dropped on the way.
    /// - Returns: whether it was stored.
    func insert(_ entry: Entry, for id: SessionID, now: Date, ended: inout [Ended]) -> Bool {
        let deadline = deadline(of: entry)
        let (isStored, dropped) = state.withLock { state in
            let dropped = dropExpired(from: &state, now: now)
            guard state.entries[id] == nil, state.tombstones[id] == nil else { return (false, dropped) }
            state.entries[id] = entry
            state.expiries.insert(Expiry(deadline: deadline, id: id))
            return (true, dropped)
        }
        ended.append(contentsOf: dropped)
        return isStored
    }

    /// The live session, whose use this is.
    func session(for id: SessionID, now: Date) -> Session? {
        state.withLock { state in
            guard let index = state.entries.index(forKey: id), isLive(state.entries.values[index], now: now) else {
                return nil
            }
            if idleTimeout != nil { state.entries.values[index].lastUse = now }
            return state.entries.values[index].session
        }
    }

    /// The live session with what is kept beside it; no use of it.
    func entry(for id: SessionID, now: Date) -> Entry? {
        state.withLock { state in
            guard let entry = state.entries[id], isLive(entry, now: now) else { return nil }
            return entry
        }
    }

    /// Whether there is anything under this ID: a session, be it over, or a tombstone that still holds.
    func knows(_ id: SessionID, now: Date) -> Bool {
        state.withLock { state in
            state.entries[id] != nil || state.tombstones[id].map { $0 > now } == true
        }
    }

    func holds(_ id: SessionID) -> Bool { state.withLock { $0.entries[id] != nil } }

    /// Replaces the session by what `change` makes of it, or leaves it when that is nothing.
    ///
    /// - Returns: what `change` answered; `nil` when there is no live session.
    func change<Answer: Sendable>(
        _ id: SessionID, now: Date, _ change: (inout Entry) -> Answer
    ) -> Answer? {
        state.withLock { state in
            guard let index = state.entries.index(forKey: id), isLive(state.entries.values[index], now: now) else {
                return nil
            }
            return change(&state.entries.values[index])
        }
    }

    /// - Returns: `nil` when there was none.
    func remove(_ id: SessionID, now: Date) -> Ended? {
        state.withLock { remove(id, from: &$0, now: now) }
    }

    /// Removes the session if `condition` holds.
    ///
    /// - Returns: what was removed, and else the live session for which it does not hold.
    func remove(_ id: SessionID, now: Date, if condition: (Session) -> Bool) -> (ended: Ended?, other: Session?) {
        state.withLock { state in
            if let entry = state.entries[id], isLive(entry, now: now), !condition(entry.session) {
                return (nil, entry.session)
            }
            return (remove(id, from: &state, now: now), nil)
        }
    }

    /// Removes the session, if there is one, and leaves a tombstone.
    ///
    /// - Returns: what was removed, and whether there was room for the tombstone.
    func remove(_ id: SessionID, tombstoneUntil end: Date, now: Date) -> (ended: Ended?, isMarked: Bool) {
        state.withLock { state in
            let ended = remove(id, from: &state, now: now)
            state.dropTombstones(now: now)
            guard end > now else { return (ended, true) }
            if let earlier = state.tombstones[id], earlier >= end { return (ended, true) }
            guard state.tombstones[id] != nil || state.tombstones.count < maximumTombstones else {
                return (ended, false)
            }
            state.tombstones[id] = end
            state.tombstoneExpiries.insert(Expiry(deadline: end, id: id))
            return (ended, true)
        }
    }

    func removeAll(now: Date) -> [Ended] {
        state.withLock { state in
            let ended = state.entries.map { self.ended($0.key, $0.value, now: now) }
            state.entries = [:]
            state.expiries = Heap()
            return ended
        }
    }

    /// Drops what is over.
    func dropExpired(now: Date) -> [Ended] {
        state.withLock { dropExpired(from: &$0, now: now) }
    }

    /// The live sessions that were stored after the one of this sequence, in the order of their sequences.
    func entries(after sequence: UInt64, limit: Int, now: Date) -> [(id: SessionID, entry: Entry)] {
        state.withLock { state in
            let later = state.entries.filter { $0.value.sequence > sequence && isLive($0.value, now: now) }
            return later.sorted { $0.value.sequence < $1.value.sequence }.prefix(limit).map { ($0.key, $0.value) }
        }
    }

    var ids: [SessionID] { state.withLock { Array($0.entries.keys) } }
    var pendingExpiryCount: Int { state.withLock { $0.expiries.count } }
    var tombstoneCount: Int { state.withLock { $0.tombstones.count } }

    private func remove(_ id: SessionID, from state: inout State, now: Date) -> Ended? {
        let removed = state.entries.removeValue(forKey: id).map { ended(id, $0, now: now) }
        state.compactIfStale(deadline)
        return removed
    }

    private func dropExpired(from state: inout State, now: Date) -> [Ended] {
        var dropped: [Ended] = []
        while let first = state.expiries.min, first.deadline <= now {
            _ = state.expiries.popMin()
            guard let entry = state.entries[first.id] else { continue }
            if isLive(entry, now: now) {
                state.expiries.insert(Expiry(deadline: deadline(of: entry), id: first.id))
            } else {
                state.entries[first.id] = nil
                dropped.append(ended(first.id, entry, now: now))
            }
        }
        state.dropTombstones(now: now)
        return dropped
    }

    private func ended(_ id: SessionID, _ entry: Entry, now: Date) -> Ended {
        Ended(
            id: id, user: entry.session.user, providerSession: entry.session.providerSession,
            wasLive: isLive(entry, now: now), isPastAbsoluteLimit: entry.session.isExpired(at: now))
    }

    private func isLive(_ entry: Entry, now: Date) -> Bool { deadline(of: entry) > now }

    /// When it ends unless it is used again: the absolute limit or the idle one, whichever is first.
    private func deadline(of entry: Entry) -> Date {
        guard let idleTimeout else { return entry.session.expiresAt }
        return min(entry.session.expiresAt, entry.lastUse.addingTimeInterval(idleTimeout))
    }
}
