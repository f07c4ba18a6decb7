import Synchronization

/// The leases of one process, for stores that share nothing with others.
package final class RefreshLeaseTable: Sendable {
    /// One who waits; woken once.
    private typealias Waiter = CheckedContinuation<Void, Never>

    private let leases = Mutex(RefreshLeases<Waiter>())
    private let now: @Sendable () -> ContinuousClock.Instant

    package init(now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) { self.now = now }

    /// - Returns: the token that proves the holder; `nil` when another has the lease.
    package func acquire(_ id: SessionID, lifetime: Duration) -> String? {
        let token = randomText()
        let now = now()
        let (isGranted, waiters) = leases.withLock {
            $0.acquire(id, token: token, until: now + lifetime, now: now)
        }
        wake(waiters)
        return isGranted ? token : nil
    }

    package func renew(_ id: SessionID, token: String, lifetime: Duration) -> Bool {
        let now = now()
        return leases.withLock { $0.renew(id, token: token, until: now + lifetime, now: now) }
    }

    package func release(_ id: SessionID, token: String) {
        wake(leases.withLock { $0.release(id, token: token) })
    }

    /// Wakes who waits for a session that has changed, or is gone. Call it after the change.
    package func sessionChanged(_ id: SessionID) {
        wake(leases.withLock { $0.isEmpty ? [] : $0.sessionChanged(id) })
    }

    package func dropExpired() {
        let now = now()
        wake(leases.withLock { $0.dropExpired(now: now) })
    }

    package var count: Int { leases.withLock { $0.count } }

    /// Waits for whoever holds the lease of a session.
    ///
    /// - Parameter look: says how the session stands; `nil` when it is as it was, and there is still something to wait for.
    package func wait(
        for id: SessionID, atMost limit: Duration, _ look: () -> RefreshWait?
    ) async throws -> RefreshWait {
        let deadline = now() + limit
        while true {
            // In this order: a change after the look makes the observation stale, and the wait returns at once.
            let now = now()
            let observation = leases.withLock { $0.observe(id, now: now) }
            if let answer = look() { return answer }
            guard let observation else { return .free }
            guard now < deadline else { return .timedOut }
            try await waitForChange(of: id, after: observation, for: now.duration(to: min(deadline, observation.end)))
        }
    }

    private func waitForChange(
        of id: SessionID, after observation: RefreshLeases<CheckedContinuation<Void, Never>>.Observation,
        for limit: Duration
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.waitForWake(id, after: observation) }
            group.addTask { try await Task.sleep(for: limit) }
            defer { group.cancelAll() }
            try await group.next()
        }
        try Task.checkCancellation()
    }

    private func waitForWake(
        _ id: SessionID, after observation: RefreshLeases<CheckedContinuation<Void, Never>>.Observation
    ) async {
        let number = Mutex<UInt64?>(nil)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isWaiting = leases.withLock { leases in
                    guard !Task.isCancelled,
                        let added = leases.addWaiter(continuation, for: id, after: observation)
                    else { return false }
                    number.withLock { $0 = added }
                    return true
                }
                if !isWaiting { continuation.resume() }
            }
        } onCancel: {
            // Under the lock, so that a waiter that is just being added is either seen here or sees the cancellation.
            let waiter = leases.withLock { leases in
                number.withLock { $0 }.flatMap { leases.removeWaiter($0, of: id) }
            }
            waiter?.resume()
        }
    }

    private func wake(_ waiters: [CheckedContinuation<Void, Never>]) {
        for waiter in waiters { waiter.resume() }
    }
}
