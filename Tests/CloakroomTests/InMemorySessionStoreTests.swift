import Cloakroom
import CloakroomTesting
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@Suite struct InMemorySessionStoreTests {
    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let tokens = TokenSet(accessToken: "a")
    private let userInfo = UserInfo(subject: "s")

    @Test("conformance, in memory")
    func conforms() async {
        let checks =
            StoreConformance.checks + StoreConformance.directoryChecks + StoreConformance.transferChecks
            + StoreConformance.leaseChecks + StoreConformance.endNoteChecks
        await conform(checks) { policy in
            ConformanceSubject(store: InMemorySessionStore(policy: policy, logger: Self.silent))
        }
    }

    @Test("R3: one-time records, in memory")
    func oneTimeRecords() async throws {
        let store = InMemorySessionStore(logger: Self.silent)
        try await OneTimeRecordConformance.check(store, replica: store)
    }

    @Test("R30: 10,000 races of logout against refresh in memory: none revives")
    func races() async throws {
        let store = InMemorySessionStore(logger: Self.silent)
        try await StoreConformance.race(count: 10_000, ConformanceSubject(store: store))
        #expect(store.heldSessionCount == 0)
    }

    @Test("it says once, as a warning, that it is not for production")
    func warning() {
        let log = RecordingLog()
        _ = InMemorySessionStore(logger: log.logger)
        #expect(log.lines.count == 1 && log.lines[0].hasPrefix("warning: InMemorySessionStore is not for production"))
    }

    @Test("a full store refuses one more and throws no one out; what has ended makes room")
    func bounded() async throws {
        let clock = Mutex(Date(timeIntervalSince1970: 1_000_000))
        let store = InMemorySessionStore(
            policy: SessionPolicy(absoluteLifetime: .seconds(60)), maximumSessions: 100, logger: Self.silent,
            now: { clock.withLock { $0 } })
        var ids: [SessionID] = []
        for _ in 0..<100 { ids.append(try await store.createSession(tokens: tokens, userInfo: userInfo)) }
        for _ in 0..<3 {
            let error = await #expect(throws: SessionStoreError.self) {
                try await store.createSession(tokens: tokens, userInfo: userInfo)
            }
            #expect(error?.code == .full)
        }
        for id in ids { #expect(try await store.session(for: id) != nil) }
        clock.withLock { $0 += 61 }
        _ = try await store.createSession(tokens: tokens, userInfo: userInfo)
        #expect(store.heldSessionCount == 1)
        for id in ids { #expect(try await store.session(for: id) == nil) }
    }

    @Test("20,000 logins and logouts leave nothing behind")
    func churn() async throws {
        let store = InMemorySessionStore(logger: Self.silent)
        for _ in 0..<20_000 {
            try await store.deleteSession(try await store.createSession(tokens: tokens, userInfo: userInfo))
        }
        #expect(store.heldSessionCount == 0 && store.pendingExpiryCount < 64 * 70)
    }

    @Test("ended sessions are dropped by later logins, without anyone asking for them")
    func dropsByItself() async throws {
        let clock = Mutex(Date(timeIntervalSince1970: 1_000_000))
        let store = InMemorySessionStore(
            policy: SessionPolicy(absoluteLifetime: .seconds(60)), maximumSessions: 1_000_000, logger: Self.silent,
            now: { clock.withLock { $0 } })
        for _ in 0..<5000 { _ = try await store.createSession(tokens: tokens, userInfo: userInfo) }
        clock.withLock { $0 += 61 }
        for _ in 0..<1000 { _ = try await store.createSession(tokens: tokens, userInfo: userInfo) }
        #expect(store.heldSessionCount <= 1100)
    }
}
