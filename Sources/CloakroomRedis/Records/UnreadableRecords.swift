import Cloakroom
import Logging
import Metrics
import Synchronization

/// Notes records that are no session: each is counted at every read, and logged once.
final class UnreadableRecords: Sendable {
    /// How many handles are remembered; beyond that the memory starts anew, and a record may be logged again.
    private static let memory = 1000

    private let logger: Logger
    private let counter = Counter(label: "cloakroom_session_records_unreadable_total")
    private let seen = Mutex<Set<SessionHandle>>([])

    init(logger: Logger) { self.logger = logger }

    func note(_ handle: SessionHandle, _ reason: String) {
        counter.increment()
        let isNew = seen.withLock { seen in
            if seen.count >= Self.memory { seen = [] }
            return seen.insert(handle).inserted
        }
        guard isNew else { return }
        logger.error(
            "a value under a session's key in Redis is not a session; it is treated as absent and left in place",
            metadata: ["session": "\(handle)", "reason": "\(reason)"])
    }
}
