import Cloakroom
import CloakroomTesting
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

// One after the other: the counter of failures is the process's.
@Suite(.serialized) struct HybridSessionStoreTests {
    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let tokens = TokenSet(accessToken: "a", refreshToken: "r", idToken: "i")
    private let userInfo = UserInfo(subject: "s")

    private static func memory(_ policy: SessionPolicy = SessionPolicy()) -> InMemorySessionStore {
        InMemorySessionStore(policy: policy, logger: silent)
    }

    private static func hybrid(
        _ primary: any HybridSessionStore.Part, _ secondary: any HybridSessionStore.Part,
        _ policy: SessionPolicy = SessionPolicy(), logger: Logger = silent
    ) -> HybridSessionStore {
        HybridSessionStore(primary: primary, secondary: secondary, policy: policy, logger: logger)
    }

    @Test("conformance, hybrid of two in-memory stores that two replicas share")
    func conforms() async {
        let checks =
            StoreConformance.checks + StoreConformance.directoryChecks + StoreConformance.transferChecks
            + StoreConformance.leaseChecks + StoreConformance.endNoteChecks
        await conform(checks) { policy in
            let (primary, secondary) = (Self.memory(policy), Self.memory(policy))
            return ConformanceSubject(
                store: Self.hybrid(primary, secondary, policy), replica: Self.hybrid(primary, secondary, policy))
        }
    }

    @Test("one-time records, hybrid; one that only the secondary has is taken once as well")
    func oneTimeRecords() async throws {
        let (primary, secondary) = (Self.memory(), Self.memory())
        let store = Self.hybrid(primary, secondary)
        try await OneTimeRecordConformance.check(store, replica: Self.hybrid(primary, secondary))
        try await secondary.putRecord([7], key: "key", lifetime: .seconds(60))
        let taken = try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            for _ in 0..<64 { group.addTask { try await store.takeRecord(key: "key") } }
            return try await group.reduce(into: [[UInt8]]()) { all, record in if let record { all.append(record) } }
        }
        #expect(taken == [[7]])
    }

    @Test("writes go to both, and a session that only the secondary has is copied up by whatever finds it")
    func copiesUp() async throws {
        let (primary, secondary) = (Self.memory(), Self.memory())
        let store = Self.hybrid(primary, secondary)
        let id = try await store.createSession(tokens: tokens, userInfo: userInfo)
        let created = try #require(try await primary.session(for: id))
        #expect(try await secondary.session(for: id) == created)

        let read = try await secondary.createSession(tokens: tokens, userInfo: userInfo)
        #expect(try await store.session(for: read) == secondary.session(for: read))
        #expect(try await primary.session(for: read) != nil)

        let refreshed = try await secondary.createSession(tokens: tokens, userInfo: userInfo)
        let answer = try await store.refreshSession(refreshed, tokens: TokenSet(accessToken: "new"))
        #expect(answer?.tokens.accessToken == "new" && answer?.tokens.refreshToken == "r")
        #expect(try await primary.session(for: refreshed)?.tokens == answer?.tokens)
        #expect(try await secondary.session(for: refreshed)?.tokens == answer?.tokens)

        let leased = try await secondary.createSession(tokens: tokens, userInfo: userInfo)
        guard case .granted(let lease) = try await store.acquireRefreshLease(for: leased, lifetime: .seconds(60)) else {
            Issue.record("the lease is granted")
            return
        }
        _ = try await store.completeRefresh(lease, tokens: TokenSet(accessToken: "newer"))
        #expect(try await primary.session(for: leased)?.tokens.accessToken == "newer")
        #expect(try await secondary.session(for: leased)?.tokens.accessToken == "newer")
    }

    @Test("sessions of the secondary alone are listed once, counted, and ended like all others")
    func directory() async throws {
        let (primary, secondary) = (Self.memory(), Self.memory())
        let store = Self.hybrid(primary, secondary)
        let both = try await store.createSession(tokens: tokens, userInfo: userInfo)
        let old = try await secondary.createSession(tokens: tokens, userInfo: userInfo)
        #expect(Set(try await store.sessions(ofUser: "s").map(\.handle)) == [both.handle, old.handle])
        #expect(try await store.sessionCount(ofUser: "s") == 2)
        #expect(try await store.sessionCount() == 2)
        var paged: [SessionHandle] = []
        var cursor: SessionPage.Cursor?
        repeat {
            let page = try await store.sessions(after: cursor, limit: 10)
            paged.append(contentsOf: page.sessions.map(\.handle))
            cursor = page.next
        } while cursor != nil
        #expect(paged.count == 2 && Set(paged) == [both.handle, old.handle], "each is in one page")
        #expect(try await store.deleteSession(old.handle, ofUser: "s"))
        #expect(try await store.session(for: old) == nil)
        #expect(try await store.deleteSessions(ofUser: "s", except: nil) == 1)
        #expect(try await store.session(for: both) == nil)
        #expect(try await secondary.sessionCount() == 0)
    }

    @Test("a secondary that fails is logged by handle and counted, and fails no call that the primary can answer")
    func failingSecondary() async throws {
        let before = CountedMetrics.total("cloakroom_hybrid_secondary_failures_total")
        let log = RecordingLog()
        let (primary, secondary) = (Self.memory(), FailingStore())
        let store = Self.hybrid(primary, secondary, logger: log.logger)
        secondary.isFailing.store(true, ordering: .relaxed)
        let id = try await store.createSession(tokens: tokens, userInfo: userInfo)
        #expect(try await store.session(for: id) != nil)
        #expect(try await store.refreshSession(id, tokens: TokenSet(accessToken: "b")) != nil)
        try await store.ping()
        try await store.deleteSession(id)
        #expect(CountedMetrics.total("cloakroom_hybrid_secondary_failures_total") - before == 4)
        #expect(log.lines.count { $0.contains(id.handle.description) } == 3)
        #expect(!log.lines.contains { $0.contains(id.secret) })
        // What only the secondary can tell is not "no session".
        await #expect(throws: SessionStoreError.self) { try await store.session(for: SessionID()) }
        await #expect(throws: SessionStoreError.self) { try await store.deleteSessions(ofUser: "s", except: nil) }
    }

    @Test("a logout that the secondary did not confirm holds: what it kept is never copied up")
    func secondaryKeepsSession() async throws {
        let (primary, secondary) = (Self.memory(), FailingStore())
        let store = Self.hybrid(primary, secondary)
        let id = try await store.createSession(tokens: tokens, userInfo: userInfo)
        secondary.isFailing.store(true, ordering: .relaxed)
        try await store.deleteSession(id)
        secondary.isFailing.store(false, ordering: .relaxed)
        #expect(try await secondary.session(for: id) != nil)
        for other in [store, Self.hybrid(primary, secondary)] {
            #expect(try await other.session(for: id) == nil)
            #expect(try await other.refreshSession(id, tokens: tokens) == nil)
            guard case .ended = try await other.acquireRefreshLease(for: id, lifetime: .seconds(1)) else {
                Issue.record("there is no lease of it")
                return
            }
        }
        #expect(try await primary.sessionCount() == 0)
    }

    @Test("a logout that the primary did not confirm throws, holds in this process at once, and is made good later")
    func primaryFails() async throws {
        let (primary, secondary) = (FailingStore(), Self.memory())
        let store = Self.hybrid(primary, secondary)
        let id = try await store.createSession(tokens: tokens, userInfo: userInfo)
        primary.isFailing.store(true, ordering: .relaxed)
        await #expect(throws: SessionStoreError.self) { try await store.deleteSession(id) }
        #expect(try await store.session(for: id) == nil)
        #expect(try await store.refreshSession(id, tokens: tokens) == nil)
        #expect(try await secondary.session(for: id) == nil)
        await store.retryEnds()
        primary.isFailing.store(false, ordering: .relaxed)
        #expect(try await primary.session(for: id) != nil)
        #expect(try await store.session(for: id) == nil)
        // The service does it by itself.
        let running = Task { try await store.run() }
        let end = ContinuousClock.now + .seconds(20)
        while try await primary.session(for: id) != nil, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(20))
        }
        running.cancel()
        _ = try? await running.value
        #expect(try await primary.session(for: id) == nil)
        let other = Self.hybrid(primary, secondary)
        #expect(try await other.session(for: id) == nil)
    }

    @Test("R30: of 5,000 races of logout against copying up, over two replicas, none revives the session")
    func races() async throws {
        let (primary, secondary) = (Self.memory(), Self.memory())
        let stores = [Self.hybrid(primary, secondary), Self.hybrid(primary, secondary)]
        let (tokens, userInfo) = (tokens, userInfo)
        for _ in 0..<100 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        let id = try await secondary.createSession(tokens: tokens, userInfo: userInfo)
                        async let read = stores[0].session(for: id)
                        async let readAgain = stores[1].session(for: id)
                        async let refreshed = stores[1].refreshSession(id, tokens: TokenSet(accessToken: "b"))
                        for _ in 0..<Int.random(in: 0...12) { await Task.yield() }
                        try await stores[number % 2].deleteSession(id)
                        for store in stores { #expect(try await store.session(for: id) == nil) }
                        _ = try await (read, readAgain, refreshed)
                        for store in stores { #expect(try await store.session(for: id) == nil) }
                        #expect(try await primary.session(for: id) == nil)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("R30: of 2,000 races of revoking by user against copying up, none leaves a session")
    func revocationRaces() async throws {
        let (primary, secondary) = (Self.memory(), Self.memory())
        let stores = [Self.hybrid(primary, secondary), Self.hybrid(primary, secondary)]
        let tokens = tokens
        for round in 0..<40 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        let subject = "\(round)-\(number)"
                        let id = try await secondary.createSession(tokens: tokens, userInfo: UserInfo(subject: subject))
                        async let read = stores[0].session(for: id)
                        async let refreshed = stores[1].refreshSession(id, tokens: TokenSet(accessToken: "b"))
                        for _ in 0..<Int.random(in: 0...12) { await Task.yield() }
                        _ = try await stores[number % 2].deleteSessions(ofUser: subject, except: nil)
                        _ = try await (read, refreshed)
                        for store in stores { #expect(try await store.session(for: id) == nil) }
                        #expect(try await primary.session(for: id) == nil)
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
