import Synchronization

import struct Foundation.Date

/// The sessions that a user ended and whose end the store did not confirm: this process serves them no more.
///
/// Bounded: of more than it can remember the earliest to end by themselves are forgotten first.
final class UnconfirmedEnds: Sendable {
    private static let maximumCount = 10_000

    struct End {
        /// Until when the session could live.
        let end: Date
        let reason: SessionEndReason
    }

    private let ends = Mutex<[SessionID: End]>([:])

    func add(_ id: SessionID, until end: Date, because reason: SessionEndReason) {
        ends.withLock { ends in
            if ends.count >= Self.maximumCount, ends[id] == nil,
                let first = ends.min(by: { $0.value.end < $1.value.end })
            {
                ends[first.key] = nil
            }
            ends[id] = End(end: max(end, ends[id]?.end ?? end), reason: ends[id]?.reason ?? reason)
        }
    }

    func remove(_ id: SessionID) {
        ends.withLock { $0[id] = nil }
    }

    func contains(_ id: SessionID) -> Bool {
        ends.withLock { $0.isEmpty ? false : $0[id] != nil }
    }

    /// Those whose sessions could still be live; the others are forgotten.
    func all(now: Date) -> [SessionID: End] {
        ends.withLock { ends in
            ends = ends.filter { $0.value.end > now }
            return ends
        }
    }
}
