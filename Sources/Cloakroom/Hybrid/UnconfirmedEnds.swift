import Synchronization

import struct Foundation.Date

/// The sessions that a user ended and whose end the store did not confirm: this process serves them no more.
///
/// Bounded: of more than it can remember the earliest to end by themselves are forgotten first.
final class UnconfirmedEnds: Sendable {
    private static let maximumCount = 10_000

    private let ends = Mutex<[SessionID: Date]>([:])

    func add(_ id: SessionID, until end: Date) {
        ends.withLock { ends in
            if ends.count >= Self.maximumCount, ends[id] == nil, let first = ends.min(by: { $0.value < $1.value }) {
                ends[first.key] = nil
            }
            ends[id] = max(end, ends[id] ?? end)
        }
    }

    func remove(_ id: SessionID) {
        ends.withLock { $0[id] = nil }
    }

    func contains(_ id: SessionID) -> Bool {
        ends.withLock { $0.isEmpty ? false : $0[id] != nil }
    }

    /// Those whose sessions could still be live; the others are forgotten.
    func all(now: Date) -> [SessionID: Date] {
        ends.withLock { ends in
            ends = ends.filter { $0.value > now }
            return ends
        }
    }
}
