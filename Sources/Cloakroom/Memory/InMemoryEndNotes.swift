import Synchronization

import struct Foundation.Date

/// Why sessions ended, in memory and bounded in number: the oldest note goes first.
final class InMemoryEndNotes: Sendable {
    private static let maximumCount = 16_384

    private struct Note {
        let session: SessionHandle
        let reason: SessionEndReason
        let deadline: Date
    }

    private struct State {
        /// In the order of their coming; the oldest is overwritten.
        var notes: [Note] = []
        var next = 0
        var places: [SessionHandle: Int] = [:]
    }

    private let state = Mutex(State())

    func add(_ session: SessionHandle, _ reason: SessionEndReason, now: Date) {
        guard reason.isNoted else { return }
        let note = Note(
            session: session, reason: reason, deadline: now.addingTimeInterval(EndNotes.lifetime / .seconds(1)))
        state.withLock { state in
            let place = state.next
            if place < state.notes.count {
                let oldest = state.notes[place].session
                if state.places[oldest] == place { state.places[oldest] = nil }
                state.notes[place] = note
            } else {
                state.notes.append(note)
            }
            state.places[session] = place
            state.next = (place + 1) % Self.maximumCount
        }
    }

    func reason(of session: SessionHandle, now: Date) -> SessionEndReason? {
        state.withLock { state in
            guard let place = state.places[session], state.notes[place].deadline > now else { return nil }
            return state.notes[place].reason
        }
    }

    /// How many notes are held, for tests of their growth.
    var count: Int { state.withLock { $0.notes.count } }
}

extension InMemorySessionStore: SessionEndNotes {
    public func endReason(of session: SessionHandle) async throws -> SessionEndReason? {
        endNotes.reason(of: session, now: now())
    }
}
