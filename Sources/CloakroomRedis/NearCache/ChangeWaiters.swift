import Cloakroom
import Synchronization

/// Callers that wait until a session is reported changed.
final class ChangeWaiters: Sendable {
    private struct State {
        var waiters: [SessionID: [Int: CheckedContinuation<Void, Never>]] = [:]
        /// Waits that were ended before they began.
        var ended: Set<Int> = []
        var next = 0
    }

    private let state = Mutex(State())

    /// Waits until ``wake(_:)`` is called for the session, for `limit` at most, or until the task is cancelled.
    func wait(for id: SessionID, atMost limit: Duration) async {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                try? await Task.sleep(for: limit)
                self.end(number, id)
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isEnded = state.withLock { state in
                        if state.ended.remove(number) != nil { return true }
                        state.waiters[id, default: [:]][number] = continuation
                        return false
                    }
                    if isEnded { continuation.resume() }
                }
            } onCancel: {
                self.end(number, id)
            }
            group.cancelAll()
        }
        _ = state.withLock { $0.ended.remove(number) }
    }

    func wake(_ id: SessionID) {
        let woken = state.withLock { $0.waiters.isEmpty ? nil : $0.waiters.removeValue(forKey: id) }
        for continuation in woken?.values ?? [:].values { continuation.resume() }
    }

    func wakeAll() {
        let woken = state.withLock { state in
            defer { state.waiters = [:] }
            return state.waiters
        }
        for continuations in woken.values { for continuation in continuations.values { continuation.resume() } }
    }

    private func end(_ number: Int, _ id: SessionID) {
        let continuation: CheckedContinuation<Void, Never>? = state.withLock { state in
            guard let continuation = state.waiters[id]?.removeValue(forKey: number) else {
                state.ended.insert(number)
                return nil
            }
            if state.waiters[id]?.isEmpty == true { state.waiters[id] = nil }
            return continuation
        }
        continuation?.resume()
    }
}
