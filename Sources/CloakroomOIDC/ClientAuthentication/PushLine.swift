import Synchronization

/// Lets a few callers through at a time. Others wait in a line; who would wait too long, or finds it full, is turned away.
///
/// Anybody can begin logins, and each that is pushed is a request to the provider: they must not take the connections that
/// refreshes of users' tokens need.
final class PushLine: Sendable {
    private struct State {
        var free: Int
        var waiting: [(id: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        var nextID = 0
    }

    private let state: Mutex<State>
    private let longest: Int

    /// - Parameters:
    ///   - places: how many may be through at once.
    ///   - waiting: how many may wait.
    init(places: Int = 4, waiting: Int = 256) {
        state = Mutex(State(free: places))
        longest = waiting
    }

    /// Takes a place, or waits for one. Whoever got one calls ``leave()``.
    ///
    /// - Returns: `false` if there is none within the time.
    func enter(within limit: Duration) async -> Bool {
        let (id, isFree) = state.withLock { state -> (Int, Bool) in
            state.nextID += 1
            guard state.free > 0 else { return (state.nextID, false) }
            state.free -= 1
            return (state.nextID, true)
        }
        if isFree { return true }
        let timer = Task {
            try await Task.sleep(for: limit)
            giveUp(id)
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            let answer = state.withLock { state -> Bool? in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                guard state.waiting.count < longest else { return false }
                state.waiting.append((id, continuation))
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// Gives a place back, to the first who waits.
    func leave() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiting.isEmpty else {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume(returning: true)
    }

    private func giveUp(_ id: Int) {
        let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard let index = state.waiting.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiting.remove(at: index).continuation
        }
        waiter?.resume(returning: false)
    }
}
