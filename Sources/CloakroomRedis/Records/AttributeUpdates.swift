import Cloakroom
import Synchronization

/// Updates of sessions' attributes by this process. Those that come while one of the same session is being written wait,
/// and are then written together: a thousand at once cost a few writes, and do not take each other's turns.
final class AttributeUpdates: Sendable {
    typealias Change = @Sendable (inout SessionAttributes) throws -> Void
    /// Writes what a change of the attributes makes of the session; the change may be called more than once.
    typealias Write = @Sendable ((SessionAttributes) -> SessionAttributes) async throws -> Session?

    private struct Update: Sendable {
        let change: Change
        let continuation: CheckedContinuation<Session?, any Error>
    }

    /// Waiting updates of the sessions that are being written.
    private let waiting = Mutex<[SessionID: [Update]]>([:])

    func perform(_ id: SessionID, _ change: @escaping Change, write: @escaping Write) async throws -> Session? {
        try await withCheckedThrowingContinuation { continuation in
            let update = Update(change: change, continuation: continuation)
            let isFirst = waiting.withLock { waiting in
                guard waiting[id] == nil else {
                    waiting[id]?.append(update)
                    return false
                }
                waiting[id] = [update]
                return true
            }
            // A task of its own, as it writes for others too: one of them that is cancelled must not take them along.
            if isFirst { Task { await drain(id, write: write) } }
        }
    }

    private func drain(_ id: SessionID, write: Write) async {
        while true {
            let batch = waiting.withLock { waiting -> [Update] in
                guard let batch = waiting[id], !batch.isEmpty else {
                    waiting[id] = nil
                    return []
                }
                waiting[id] = []
                return batch
            }
            guard !batch.isEmpty else { return }
            await perform(batch, write: write)
        }
    }

    private func perform(_ batch: [Update], write: Write) async {
        let failures = Mutex<[Int: any Error]>([:])
        let result: Result<Session?, any Error>
        do {
            result = .success(
                try await write { attributes in
                    Self.apply(batch, to: attributes, failures: failures)
                })
        } catch {
            result = .failure(error)
        }
        let failed = failures.withLock { $0 }
        for (number, update) in batch.enumerated() {
            if let error = failed[number] {
                update.continuation.resume(throwing: error)
            } else {
                update.continuation.resume(with: result)
            }
        }
    }

    /// One after the other; one that fails leaves the attributes as it found them.
    private static func apply(
        _ batch: [Update], to attributes: SessionAttributes, failures: borrowing Mutex<[Int: any Error]>
    ) -> SessionAttributes {
        var attributes = attributes
        var failed: [Int: any Error] = [:]
        for (number, update) in batch.enumerated() {
            var changed = attributes
            do {
                try update.change(&changed)
                try changed.check()
                attributes = changed
            } catch {
                failed[number] = error
            }
        }
        failures.withLock { $0 = failed }
        return attributes
    }
}
