import Cloakroom
import Synchronization

/// Which sessions' uses this process has noted lately, so that many requests at once note one use between them.
final class RecentTouches: Sendable {
    /// How many are remembered; beyond that a use may be noted once more.
    private static let memory = 10_000

    private let until = Mutex<[SessionID: ContinuousClock.Instant]>([:])

    /// - Returns: whether the caller is to note the use: no one else has within the interval.
    func claim(_ id: SessionID, for interval: Duration?) -> Bool {
        guard let interval else { return false }
        let now = ContinuousClock.now
        return until.withLock { until in
            if let end = until[id], now < end { return false }
            if until.count >= Self.memory {
                until = until.filter { $0.value > now }
                if until.count >= Self.memory { until = [:] }
            }
            until[id] = now + interval
            return true
        }
    }
}
