import Cloakroom
import Synchronization
import Testing

/// The leases' state machine, without a clock or a lock.
@Suite struct RefreshLeasesTests {
    private let id = SessionID()
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

    @Test("one holder at a time; the next when its time is over or it gives the lease back")
    func oneHolder() {
        let leases = Leases()
        #expect(leases.acquire(id, token: "a", until: at(10), now: at(0)).isGranted)
        #expect(!leases.acquire(id, token: "b", until: at(20), now: at(9.9)).isGranted)
        #expect(leases.acquire(SessionID(), token: "b", until: at(20), now: at(0)).isGranted)
        #expect(leases.acquire(id, token: "b", until: at(20), now: at(10)).isGranted)
        #expect(leases.release(id, token: "a").isEmpty)
        #expect(!leases.acquire(id, token: "c", until: at(30), now: at(11)).isGranted, "the loser released nothing")
        _ = leases.release(id, token: "b")
        #expect(leases.acquire(id, token: "c", until: at(30), now: at(11)).isGranted)
    }

    @Test("only its holder renews a lease, and only while it lasts")
    func renews() {
        let leases = Leases()
        _ = leases.acquire(id, token: "a", until: at(10), now: at(0))
        #expect(!leases.renew(id, token: "b", until: at(90), now: at(1)))
        #expect(leases.renew(id, token: "a", until: at(30), now: at(9)))
        #expect(!leases.acquire(id, token: "b", until: at(90), now: at(29)).isGranted)
        #expect(!leases.renew(id, token: "a", until: at(90), now: at(30)))
        #expect(leases.observe(id, now: at(29))?.end == at(30) && leases.observe(id, now: at(30)) == nil)
    }

    @Test("whoever waits is told once of whatever happens, and nobody waits for what is past")
    func waiters() throws {
        let leases = Leases()
        _ = leases.acquire(id, token: "a", until: at(10), now: at(0))
        let first = try #require(leases.observe(id, now: at(1)))
        #expect(leases.addWaiter("one", for: id, after: first) != nil)
        let gone = try #require(leases.addWaiter("gone", for: id, after: first))
        #expect(leases.removeWaiter(gone, of: id) == "gone" && leases.removeWaiter(gone, of: id) == nil)
        #expect(leases.sessionChanged(id) == ["one"] && leases.sessionChanged(id).isEmpty)
        #expect(leases.addWaiter("late", for: id, after: first) == nil, "it has changed since")
        let second = try #require(leases.observe(id, now: at(2)))
        #expect(leases.addWaiter("two", for: id, after: second) != nil)
        #expect(leases.release(id, token: "a") == ["two"])
        #expect(leases.addWaiter("late", for: id, after: second) == nil, "nobody has the lease")
        _ = leases.acquire(id, token: "b", until: at(20), now: at(3))
        #expect(leases.addWaiter("late", for: id, after: second) == nil, "it is another lease")
        let third = try #require(leases.observe(id, now: at(3)))
        #expect(leases.addWaiter("three", for: id, after: third) != nil)
        #expect(leases.acquire(id, token: "c", until: at(90), now: at(20)).waiters == ["three"])
        let fourth = try #require(leases.observe(id, now: at(21)))
        #expect(leases.addWaiter("four", for: id, after: fourth) != nil)
        #expect(leases.dropExpired(now: at(89)).isEmpty && leases.dropExpired(now: at(90)) == ["four"])
        #expect(leases.isEmpty)
    }
}

/// A reference to leases, as `#expect` can't call what changes a value.
private final class Leases {
    private var inner = RefreshLeases<String>()

    var isEmpty: Bool { inner.isEmpty }

    func acquire(
        _ id: SessionID, token: String, until end: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) -> (isGranted: Bool, waiters: [String]) {
        inner.acquire(id, token: token, until: end, now: now)
    }
    func renew(
        _ id: SessionID, token: String, until end: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) -> Bool {
        inner.renew(id, token: token, until: end, now: now)
    }
    func release(_ id: SessionID, token: String) -> [String] { inner.release(id, token: token) }
    func sessionChanged(_ id: SessionID) -> [String] { inner.sessionChanged(id) }
    func observe(_ id: SessionID, now: ContinuousClock.Instant) -> RefreshLeases<String>.Observation? {
        inner.observe(id, now: now)
    }
    func addWaiter(
        _ waiter: String, for id: SessionID, after observation: RefreshLeases<String>.Observation
    ) -> UInt64? {
        inner.addWaiter(waiter, for: id, after: observation)
    }
    func removeWaiter(_ number: UInt64, of id: SessionID) -> String? { inner.removeWaiter(number, of: id) }
    func dropExpired(now: ContinuousClock.Instant) -> [String] { inner.dropExpired(now: now) }
}

/// The same with continuations: waiting costs no polling and leaves nothing behind.
@Suite struct RefreshLeaseTableTests {
    private let id = SessionID()

    @Test("a wait looks at the session twice, not all the time: it is woken")
    func isWoken() async throws {
        let table = RefreshLeaseTable()
        let token = try #require(table.acquire(id, lifetime: .seconds(600)))
        let state = State()
        let id = id
        let waiting = Task {
            try await table.wait(for: id, atMost: .seconds(60)) { state.look() }
        }
        while state.looks == 0 { await Task.yield() }
        try await Task.sleep(for: .milliseconds(200))
        #expect(state.looks == 1)
        state.finish()
        table.sessionChanged(id)
        #expect(try await waiting.value == .ended)
        #expect(state.looks == 2)
        table.release(id, token: token)
        #expect(table.count == 0)
    }

    /// A session that is looked at until it ends.
    private final class State: Sendable {
        private let counted = Atomic<Int>(0)
        private let isDone = Atomic<Bool>(false)

        var looks: Int { counted.load(ordering: .relaxed) }

        func finish() { isDone.store(true, ordering: .relaxed) }

        func look() -> RefreshWait? {
            counted.add(1, ordering: .relaxed)
            return isDone.load(ordering: .relaxed) ? .ended : nil
        }
    }

    @Test("changes at the very moment of beginning to wait are not missed")
    func racesOfWaking() async throws {
        let table = RefreshLeaseTable()
        for _ in 0..<500 {
            let id = SessionID()
            let token = try #require(table.acquire(id, lifetime: .seconds(600)))
            async let wait = table.wait(for: id, atMost: .seconds(60)) { nil }
            for _ in 0..<Int.random(in: 0...4) { await Task.yield() }
            table.release(id, token: token)
            #expect(try await wait == .free)
        }
    }

    @Test("cancelled waits end at once, also at the very moment of beginning")
    func racesOfCancelling() async throws {
        let table = RefreshLeaseTable()
        _ = table.acquire(id, lifetime: .seconds(600))
        let start = ContinuousClock.now
        let id = id
        for _ in 0..<500 {
            let task = Task { try await table.wait(for: id, atMost: .seconds(600)) { nil } }
            for _ in 0..<Int.random(in: 0...4) { await Task.yield() }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        #expect(.now - start < .seconds(60))
    }

    @Test("leases that nobody gave back are forgotten when they are over")
    func dropsExpired() {
        let clock = Mutex(ContinuousClock.now)
        let table = RefreshLeaseTable(now: { clock.withLock { $0 } })
        for _ in 0..<100 { _ = table.acquire(SessionID(), lifetime: .seconds(5)) }
        table.dropExpired()
        #expect(table.count == 100)
        clock.withLock { $0 += .seconds(5) }
        table.dropExpired()
        #expect(table.count == 0)
    }
}
