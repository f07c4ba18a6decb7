import Cloakroom
import Synchronization

/// A value that is fetched when it is needed, kept for a while and fetched again.
///
/// Concurrent callers share one fetch. When a fetch fails, a copy that has gone stale stays in use, and no other fetch is
/// tried before a short pause is over. A fetch outlives the caller that began it: others may wait for it too.
final class CachedFetch<Value: Sendable>: Sendable {
    /// A fetched value.
    struct Copy: Sendable {
        let value: Value
        /// Counts the fetches.
        let generation: Int
        fileprivate let fetchedAt: ContinuousClock.Instant
    }

    private struct State {
        var copy: Copy?
        var running: Task<Result<Copy, OIDCError>, Never>?
        var failure: (error: OIDCError, at: ContinuousClock.Instant)?
        var demandedAt: ContinuousClock.Instant?
    }

    private enum Step {
        case use(Copy)
        case wait(Task<Result<Copy, OIDCError>, Never>, orUse: Copy?)
        case fail(OIDCError)
    }

    private let state = Mutex(State())
    private let timing: CacheTiming
    private let fetch: @Sendable () async throws(OIDCError) -> Value

    init(timing: CacheTiming, fetch: @escaping @Sendable () async throws(OIDCError) -> Value) {
        self.timing = timing
        self.fetch = fetch
    }

    /// The copy at hand if it is fresh, else a new one, else the stale one.
    func current() async throws(OIDCError) -> Copy {
        let now = ContinuousClock.now
        let step: Step = state.withLock { state in
            if let copy = state.copy, now < copy.fetchedAt + timing.lifetime { return .use(copy) }
            if state.running == nil, let failure = state.failure, now < failure.at + timing.pauseAfterFailure {
                return state.copy.map { .use($0) } ?? .fail(failure.error)
            }
            return .wait(fetchTask(&state), orUse: state.copy)
        }
        return try await take(step)
    }

    /// A copy fetched later than `copy`, which lacked what the caller looked for.
    ///
    /// - Returns: `nil` when such a fetch was demanded too recently.
    /// - Throws: when the fetch fails.
    func newer(than copy: Copy) async throws(OIDCError) -> Copy? {
        let now = ContinuousClock.now
        let step: Step? = state.withLock { state in
            if let held = state.copy, held.generation > copy.generation { return .use(held) }
            if let running = state.running { return .wait(running, orUse: nil) }
            if let last = state.demandedAt, now < last + timing.demandInterval { return nil }
            state.demandedAt = now
            return .wait(fetchTask(&state), orUse: nil)
        }
        guard let step else { return nil }
        return try await take(step)
    }

    private func take(_ step: Step) async throws(OIDCError) -> Copy {
        switch step {
        case .use(let copy): return copy
        case .fail(let error): throw error
        case .wait(let task, let stale):
            switch await task.value {
            case .success(let copy): return copy
            case .failure(let error):
                guard let stale else { throw error }
                return stale
            }
        }
    }

    /// The fetch under way, or a new one.
    private func fetchTask(_ state: inout State) -> Task<Result<Copy, OIDCError>, Never> {
        if let running = state.running { return running }
        // The lock is held, so that the task can't end before it is noted here.
        let task = Task { await self.run() }
        state.running = task
        return task
    }

    private func run() async -> Result<Copy, OIDCError> {
        let result: Result<Value, OIDCError>
        do throws(OIDCError) {
            result = .success(try await fetch())
        } catch {
            result = .failure(error)
        }
        return state.withLock { state in
            state.running = nil
            switch result {
            case .success(let value):
                let copy = Copy(
                    value: value, generation: (state.copy?.generation ?? 0) + 1, fetchedAt: ContinuousClock.now)
                state.copy = copy
                state.failure = nil
                return .success(copy)
            case .failure(let error):
                state.failure = (error, ContinuousClock.now)
                return .failure(error)
            }
        }
    }
}

/// How long a ``CachedFetch`` keeps and waits.
package struct CacheTiming: Sendable {
    /// How long a copy is fresh.
    package var lifetime: Duration = .seconds(3600)
    /// How long no fetch is tried after one that failed.
    package var pauseAfterFailure: Duration = .seconds(5)
    /// The least time between two fetches that were made because a fresh copy lacked something.
    package var demandInterval: Duration = .seconds(10)

    package init() {}
}
