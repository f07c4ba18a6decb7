import Cloakroom

extension StoreConformance {
    static let leaseWaitChecks: [Check] = [
        leaseCheck("all who wait for a refresh get its result soon, on every replica") { store, replica in
            try await checkWaiters(
                store, replica,
                ending: { _, lease in
                    _ = try await store.completeRefresh(lease, tokens: Sample.tokens("second"))
                }
            ) { wait in
                guard case .refreshed(let session) = wait else { return false }
                return session.tokens == Sample.tokens("second")
            }
        },
        leaseCheck("who waits for a refresh learns soon that the lease was given back") { store, replica in
            try await checkWaiters(
                store, replica, ending: { _, lease in try await store.releaseRefreshLease(lease) }
            ) { $0 == .free }
        },
        leaseCheck("who waits for a refresh learns soon that the session has ended") { store, replica in
            try await checkWaiters(
                store, replica, ending: { id, _ in try await replica.deleteSession(id) }
            ) { $0 == .ended }
        },
        leaseCheck("who waits for one that died learns that the lease is free when it ends") { store, replica in
            let (id, session) = try await create(store)
            _ = try await acquire(id, store, lifetime: .seconds(1))
            let start = ContinuousClock.now
            let wait = try await replica.waitForRefresh(of: id, after: session, atMost: .seconds(20))
            try expect(wait == .free, "it is free")
            try expect(.now - start < .seconds(10), "and that was told before all the time was over")
            _ = try await acquire(id, replica)
        },
        leaseCheck(
            "there is nothing to wait for when the tokens are other ones, the session has ended or nobody refreshes"
        ) {
            store, replica in
            let (id, session) = try await create(store)
            try expect(
                try await replica.waitForRefresh(of: id, after: session, atMost: .seconds(20)) == .free,
                "nobody refreshes")
            let lease = try await acquire(id, store)
            _ = try await store.refreshSession(id, tokens: Sample.tokens("second"))
            guard
                case .refreshed(let refreshed) = try await replica.waitForRefresh(
                    of: id, after: session, atMost: .seconds(20)), refreshed.tokens == Sample.tokens("second")
            else { throw ConformanceFailure("the tokens are other ones already") }
            try await store.deleteSession(id)
            try expect(
                try await replica.waitForRefresh(of: id, after: session, atMost: .seconds(20)) == .ended,
                "the session has ended")
            try await store.releaseRefreshLease(lease)
        },
        leaseCheck("a wait ends when its time is over, and when it is cancelled") { store, replica in
            let (id, session) = try await create(store)
            _ = try await acquire(id, store)
            try expect(
                try await replica.waitForRefresh(of: id, after: session, atMost: .milliseconds(100)) == .timedOut,
                "the time is over")
            let start = ContinuousClock.now
            let waiting = Task { try await replica.waitForRefresh(of: id, after: session, atMost: .seconds(30)) }
            try await Task.sleep(for: .milliseconds(50))
            waiting.cancel()
            do {
                _ = try await waiting.value
                throw ConformanceFailure("a cancelled wait throws")
            } catch is CancellationError {
                try expect(.now - start < .seconds(10), "and does so soon")
            }
        },
    ]

    private static func create(_ store: Leases) async throws -> (SessionID, Session) {
        let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
        guard let session = try await store.session(for: id) else { throw ConformanceFailure("it is live") }
        return (id, session)
    }

    /// Lets several wait, ends what they wait for, and looks at what they were told.
    private static func checkWaiters(
        _ store: Leases, _ replica: Leases, ending: (SessionID, RefreshLease) async throws -> Void,
        isExpected: (RefreshWait) -> Bool
    ) async throws {
        let (id, session) = try await create(store)
        let lease = try await acquire(id, store)
        try await withThrowingTaskGroup(of: RefreshWait.self) { group in
            for number in 0..<20 {
                group.addTask {
                    let store = number.isMultiple(of: 2) ? store : replica
                    return try await store.waitForRefresh(of: id, after: session, atMost: .seconds(30))
                }
            }
            // Most wait by then; one that comes later must be told the same.
            try await Task.sleep(for: .milliseconds(100))
            let end = ContinuousClock.now
            try await ending(id, lease)
            while let wait = try await group.next() {
                try expect(isExpected(wait), "those who wait are told what happened")
                try expect(.now - end < .seconds(10), "and soon")
            }
        }
    }
}
