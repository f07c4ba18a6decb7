import Cloakroom

extension StoreConformance {
    /// The checks for stores that are a `RefreshLeaseStore`.
    public static let leaseChecks: [Check] = leaseHolderChecks + leaseWaitChecks

    typealias Leases = any RefreshLeaseStore
    private static let long = Duration.seconds(60)

    private static let leaseHolderChecks: [Check] = [
        leaseCheck("of 200 that want to refresh a session, on two replicas, one may") { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let granted = try await withThrowingTaskGroup(of: RefreshLeaseAnswer.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let store = number.isMultiple(of: 2) ? store : replica
                        return try await store.acquireRefreshLease(for: id, lifetime: long)
                    }
                }
                return try await group.reduce(into: [RefreshLease]()) { granted, answer in
                    switch answer {
                    case .granted(let lease): granted.append(lease)
                    case .held: break
                    case .ended: throw ConformanceFailure("the session is live")
                    }
                }
            }
            try expect(granted.count == 1, "one has the lease, not \(granted.count)")
            try expect(granted[0].session.tokens == Sample.tokens(), "it shows the session's tokens")
        },
        leaseCheck("a session that is unknown or has ended has no lease") { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            try await replica.deleteSession(id)
            for id in [id, SessionID()] {
                guard case .ended = try await store.acquireRefreshLease(for: id, lifetime: long) else {
                    throw ConformanceFailure("there is nothing to refresh")
                }
            }
        },
        leaseCheck("a lease that is renewed does not end") { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let lease = try await acquire(id, store, lifetime: .seconds(1))
            try expect(try await store.renewRefreshLease(lease, lifetime: long), "it is renewed")
            try await Task.sleep(for: .milliseconds(1300))
            try await expectHeld(id, replica)
        },
        leaseCheck("a lease that is not renewed ends, another gets it, and the first does not get it back") {
            store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let first = try await acquire(id, store, lifetime: .milliseconds(200))
            _ = try await acquireAtLast(id, replica)
            try expect(try await store.renewRefreshLease(first, lifetime: long) == false, "the first has lost it")
            try await store.releaseRefreshLease(first)
            try await expectHeld(id, store)
        },
        leaseCheck("a lease that is given back is another's at once") { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let lease = try await acquire(id, store)
            try await expectHeld(id, replica)
            try await store.releaseRefreshLease(lease)
            _ = try await acquire(id, replica)
            try expect(try await store.session(for: id)?.tokens == Sample.tokens(), "the tokens are as they were")
        },
        leaseCheck("a refresh under a lease stores the tokens and gives the lease back") { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let lease = try await acquire(id, store)
            let result = try await store.completeRefresh(lease, tokens: TokenSet(accessToken: "new", expiresIn: 60))
            guard case .refreshed(let session) = result else { throw ConformanceFailure("it is refreshed") }
            try expect(session.tokens.accessToken == "new", "the access token is new")
            try expect(session.tokens.refreshToken == "refresh-first", "R22: what was not given stays")
            try expect(session.refreshedAt != nil, "the time is noted")
            try await waitUntil("every replica reads it") { try await replica.session(for: id) == session }
            _ = try await acquire(id, replica)
            // As after an answer that got lost.
            switch try await store.completeRefresh(lease, tokens: TokenSet(accessToken: "new", expiresIn: 60)) {
            case .refreshed(let again), .superseded(let again):
                try expect(again.tokens == session.tokens, "calling again finds the same tokens")
            case .ended: throw ConformanceFailure("the session is live")
            }
        },
        leaseCheck("one that lost its lease does not overwrite what another has stored since") { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let first = try await acquire(id, store, lifetime: .milliseconds(100))
            let second = try await acquireAtLast(id, replica)
            _ = try await replica.completeRefresh(second, tokens: Sample.tokens("second"))
            guard case .superseded(let session) = try await store.completeRefresh(first, tokens: Sample.tokens("late"))
            else { throw ConformanceFailure("it comes too late") }
            try expect(session.tokens == Sample.tokens("second"), "the answer is how the session stands")
            try expect(try await store.session(for: id)?.tokens == Sample.tokens("second"), "nothing was overwritten")
        },
        leaseCheck("one that lost its lease to nobody stores its tokens, which are the only good ones") {
            store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let lease = try await acquire(id, store, lifetime: .milliseconds(100))
            try await Task.sleep(for: .milliseconds(300))
            guard case .refreshed = try await store.completeRefresh(lease, tokens: Sample.tokens("second")) else {
                throw ConformanceFailure("it is refreshed")
            }
            try await waitUntil("the tokens are stored") {
                try await replica.session(for: id)?.tokens == Sample.tokens("second")
            }
        },
        leaseCheck("R30: of many races of logout against a refresh under a lease, none revives the session") {
            store, replica in
            for start in stride(from: 0, to: rounds(500), by: 50) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in start..<(start + 50) {
                        group.addTask {
                            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
                            let lease = try await acquire(id, replica)
                            async let result = replica.completeRefresh(lease, tokens: Sample.tokens("second"))
                            for _ in 0..<Int.random(in: 0...8) { await Task.yield() }
                            try await store.deleteSession(id)
                            _ = try await result
                            try await expectEnded([id], in: [store, replica])
                            let late = try await replica.completeRefresh(lease, tokens: Sample.tokens("third"))
                            try expect(late == .ended, "and a later one finds it ended")
                            try await expectEnded([id], in: [store, replica])
                        }
                    }
                    try await group.waitForAll()
                }
            }
        },
    ]

    static func leaseCheck(
        _ description: String, _ body: @escaping @Sendable (_ store: Leases, _ replica: Leases) async throws -> Void
    ) -> Check {
        Check(
            description, policy: SessionPolicy(), role: "RefreshLeaseStore",
            { subject -> (store: Leases, replica: Leases)? in
                guard let store = subject.leases, let replica = subject.replica as? Leases else { return nil }
                return (store, replica)
            }, body)
    }

    static func acquire(_ id: SessionID, _ store: Leases, lifetime: Duration = .seconds(60)) async throws
        -> RefreshLease
    {
        guard case .granted(let lease) = try await store.acquireRefreshLease(for: id, lifetime: lifetime) else {
            throw ConformanceFailure("a lease that nobody holds is granted")
        }
        return lease
    }

    private static func acquireAtLast(_ id: SessionID, _ store: Leases) async throws -> RefreshLease {
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end {
            if case .granted(let lease) = try await store.acquireRefreshLease(for: id, lifetime: long) { return lease }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ConformanceFailure("a lease that is not renewed ends")
    }

    private static func expectHeld(_ id: SessionID, _ store: Leases) async throws {
        guard case .held = try await store.acquireRefreshLease(for: id, lifetime: long) else {
            throw ConformanceFailure("another holds the lease")
        }
    }
}
