import HeapModule
import Synchronization

import struct Foundation.Date

/// A part of the in-memory store: a table of sessions behind a lock, and a heap that knows which may have ended.
final class SessionShard: Sendable {
    private struct Entry {
        var session: Session
        /// When it ends unless it is used again: the absolute limit or the idle one, whichever is first.
        var deadline: Date
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

        mutating func dropExpired(now: Date) -> Int {
            var dropped = 0
            while let first = expiries.min, first.deadline <= now {
                _ = expiries.popMin()
                guard let entry = entries[first.id] else { continue }
                if entry.deadline <= now {
                    entries[first.id] = nil
                    dropped += 1
                } else {
                    expiries.insert(Expiry(deadline: entry.deadline, id: first.id))
                }
            }
            return dropped
        }

        /// Logins and logouts in turn would grow the heap until their sessions' natural end.
        mutating func compactIfStale() {
            guard expiries.count > 2 * entries.count + 64 else { return }
            expiries = Heap(entries.map { Expiry(deadline: $0.value.deadline, id: $0.key) })
        }
    }

    private let state = Mutex(State())

    /// - Returns: how many ended sessions were dropped on the way.
    func insert(_ session: Session, for id: SessionID, idleTimeout: Duration?, now: Date) -> Int {
        let deadline = Self.deadline(of: session, idleTimeout: idleTimeout, now: now)
        return state.withLock { state in
            state.entries[id] = Entry(session: session, deadline: deadline)
            state.expiries.insert(Expiry(deadline: deadline, id: id))
            return state.dropExpired(now: now)
        }
    }

    /// The live session, whose use this is.
    func session(for id: SessionID, idleTimeout: Duration?, now: Date) -> Session? {
        state.withLock { state in
            guard let entry = state.entries[id], entry.deadline > now else { return nil }
            if idleTimeout != nil {
                state.entries[id]?.deadline = Self.deadline(of: entry.session, idleTimeout: idleTimeout, now: now)
            }
            return entry.session
        }
    }

    func refresh(_ id: SessionID, tokens: TokenSet, now: Date) -> Session? {
        state.withLock { state in
            guard let entry = state.entries[id], entry.deadline > now else { return nil }
            let session = entry.session.refreshed(with: tokens, at: now)
            state.entries[id]?.session = session
            return session
        }
    }

    /// - Returns: whether there was one.
    func remove(_ id: SessionID) -> Bool {
        state.withLock { state in
            let removed = state.entries.removeValue(forKey: id) != nil
            state.compactIfStale()
            return removed
        }
    }

    /// - Returns: how many were dropped.
    func dropExpired(now: Date) -> Int {
        state.withLock { $0.dropExpired(now: now) }
    }

    var pendingExpiryCount: Int { state.withLock { $0.expiries.count } }

    private static func deadline(of session: Session, idleTimeout: Duration?, now: Date) -> Date {
        guard let idleTimeout else { return session.expiresAt }
        return min(session.expiresAt, now.addingTimeInterval(idleTimeout / .seconds(1)))
    }
}
