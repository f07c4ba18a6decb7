import Synchronization

/// Bounds how many logins can be pending, by how many may begin within their lifetime. Anyone may begin one, and each is a
/// record in the store.
final class LoginBudget: Sendable {
    private struct State {
        /// Logins begun in each slice of the window, by the number of the slice.
        var slices: [Int64: Int] = [:]
    }

    private static let sliceCount: Int64 = 10

    private let limit: Int
    private let slice: Duration
    private let start: ContinuousClock.Instant
    private let state = Mutex(State())

    init(limit: Int, window: Duration, start: ContinuousClock.Instant = .now) {
        self.limit = limit
        self.slice = window / Int(Self.sliceCount)
        self.start = start
    }

    /// Counts one more login.
    ///
    /// - Returns: `false` when there are as many as there may be.
    func take(at now: ContinuousClock.Instant = .now) -> Bool {
        let current = Int64((now - start) / slice)
        return state.withLock { state in
            for key in state.slices.keys where key <= current - Self.sliceCount { state.slices[key] = nil }
            guard state.slices.values.reduce(0, +) < limit else { return false }
            state.slices[current, default: 0] += 1
            return true
        }
    }
}
