import Cloakroom
import Synchronization

/// The sessions that something is open for in this process, such as event streams. The near cache keeps them whatever their
/// use, as Redis reports the changes of those alone that were read and are kept.
final class WatchedSessions: Sendable {
    private struct State {
        var counts: [SessionID: Int] = [:]
        var listener: (@Sendable (SessionID, PeekedSession) -> Void)?
    }

    /// How many there are: most processes have none, and need no lock to know.
    private let count = Atomic<Int>(0)
    private let state = Mutex(State())

    func add(_ id: SessionID) {
        state.withLock { $0.counts[id, default: 0] += 1 }
        count.add(1, ordering: .relaxed)
    }

    func remove(_ id: SessionID) {
        let wasThere = state.withLock { state in
            guard let number = state.counts[id] else { return false }
            state.counts[id] = number > 1 ? number - 1 : nil
            return true
        }
        if wasThere { count.subtract(1, ordering: .relaxed) }
    }

    func contains(_ id: SessionID) -> Bool {
        guard count.load(ordering: .relaxed) > 0 else { return false }
        return state.withLock { $0.counts[id] != nil }
    }

    func listen(_ listener: @escaping @Sendable (SessionID, PeekedSession) -> Void) {
        state.withLock { $0.listener = listener }
    }

    /// Tells what a watched session has become.
    func tell(_ id: SessionID, _ peeked: @autoclosure () -> PeekedSession) {
        guard contains(id), let listener = state.withLock({ $0.listener }) else { return }
        listener(id, peeked())
    }
}
