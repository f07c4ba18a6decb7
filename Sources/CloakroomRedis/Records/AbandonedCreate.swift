import Cloakroom
import Synchronization

/// Removes sessions whose create has failed though it may have been carried out: nobody has their IDs.
///
/// It is a best effort, beside the caller, who has waited long enough.
final class AbandonedCreate: Sendable {
    /// More are left to their time to live.
    private static let maximumCount = 256
    private static let attempts = 8
    private static let pause = Duration.seconds(1)

    private let count = Atomic<Int>(0)

    /// Whether a create that failed like this may have left a session.
    static func isLeft(by error: any Error) -> Bool {
        guard let error = error as? SessionStoreError else { return error is CancellationError }
        return !error.isOutcomeKnown || error.code == .notReplicated
    }

    /// Calls `body`, which removes it, until it succeeds, a few times at most.
    func remove(_ body: @escaping @Sendable () async throws -> Void) {
        guard count.add(1, ordering: .relaxed).newValue <= Self.maximumCount else {
            count.subtract(1, ordering: .relaxed)
            return
        }
        Task {
            defer { count.subtract(1, ordering: .relaxed) }
            for _ in 0..<Self.attempts {
                if (try? await body()) != nil { return }
                try? await Task.sleep(for: Self.pause)
            }
        }
    }
}
