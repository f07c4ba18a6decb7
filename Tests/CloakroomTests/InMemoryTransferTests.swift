import Cloakroom
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

/// What only the in-memory store does: drain into another, forget, and look at its own growth.
@Suite struct InMemoryTransferTests {
    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let clock = Clock()

    private final class Clock: Sendable {
        private let time = Mutex(Date(timeIntervalSince1970: 1_000_000))
        var now: Date { time.withLock { $0 } }
        func advance(_ seconds: Double) { time.withLock { $0 += seconds } }
    }

    private func store(_ policy: SessionPolicy = SessionPolicy(), maximum: Int = 1_000_000) -> InMemorySessionStore {
        let clock = clock
        return InMemorySessionStore(
            policy: policy, maximumSessions: maximum, logger: Self.silent, now: { clock.now })
    }

    private func tokens(_ sid: String) -> TokenSet {
        let claims = JSONValue.object(["sid": .string(sid)]).serialized
        return TokenSet(accessToken: "a", idToken: "e30.\(Base64URL.encode(claims)).e30")
    }

    @Test("a drain hands every live session over under its ID, and nobody is logged out")
    func drains() async throws {
        let (source, target) = (store(), store())
        var ids: [SessionID] = []
        for number in 0..<500 {
            ids.append(
                try await source.createSession(tokens: tokens("\(number)"), userInfo: UserInfo(subject: "\(number)")))
        }
        // One is there already, one has ended there.
        let session = try #require(try await source.session(for: ids[0]))
        #expect(try await target.insertSession(session, for: ids[0]))
        try await target.deleteSession(ids[1], tombstoneUntil: clock.now.addingTimeInterval(600))
        let report = await source.drain(into: target)
        #expect(report.moved == 498 && report.failed == 0 && report.alreadyEnded == 2)
        for id in ids where id != ids[1] {
            #expect(try await target.session(for: id) == source.session(for: id))
        }
        #expect(try await target.session(for: ids[1]) == nil)
        #expect(try await target.sessions(ofProviderSession: "77").map(\.handle) == [ids[77].handle])
    }

    @Test("what has ended is not drained, and a session that ends meanwhile ends in the target too")
    func drainsLiveOnly() async throws {
        let (source, target) = (store(SessionPolicy(absoluteLifetime: .seconds(60))), store())
        _ = try await source.createSession(tokens: tokens("1"), userInfo: UserInfo(subject: "old"))
        clock.advance(61)
        let id = try await source.createSession(tokens: tokens("2"), userInfo: UserInfo(subject: "new"))
        let ending = EndingTarget(inner: target) { try await source.deleteSession(id) }
        let report = await source.drain(into: ending)
        #expect(report.moved == 1 && report.failed == 0 && report.alreadyEnded == 0)
        #expect(try await target.sessionCount() == 0)
        #expect(try await target.session(for: id) == nil)
    }

    @Test("a target that fails leaves the sessions here, counted and logged without a secret")
    func drainFails() async throws {
        let log = RecordingLog()
        let source = InMemorySessionStore(logger: log.logger)
        let id = try await source.createSession(tokens: tokens("1"), userInfo: UserInfo(subject: "s"))
        let failing = EndingTarget(inner: store()) { throw SessionStoreError(.unavailable, reason: "gone") }
        let report = await source.drain(into: failing)
        #expect(report.moved == 0 && report.failed == 1)
        #expect(try await source.session(for: id) != nil)
        #expect(log.lines.contains { $0.hasPrefix("error: sessions could not be handed over") && $0.contains("gone") })
        #expect(!log.lines.contains { $0.contains(id.secret) })
    }

    @Test("one-time records are drained too, each to be taken once")
    func drainsRecords() async throws {
        let (source, target) = (store(), store())
        for number in 0..<100 {
            try await source.putRecord([UInt8(number)], key: "key-\(number)", lifetime: .seconds(number < 50 ? 600 : 1))
        }
        clock.advance(2)
        let report = await source.drainRecords(into: target)
        #expect(report.moved == 50 && report.failed == 0 && report.alreadyEnded == 0)
        #expect(try await source.takeRecord(key: "key-7") == nil)
        clock.advance(590)
        #expect(try await target.takeRecord(key: "key-7") == [7])
        clock.advance(10)
        #expect(try await target.takeRecord(key: "key-8") == nil, "a record lives no longer for being handed over")
    }

    @Test("tombstones are bounded, say so when there is no room, and end")
    func tombstones() async throws {
        let store = store(maximum: 64 * 16)
        let end = clock.now.addingTimeInterval(60)
        var refused = 0
        for _ in 0..<5000 {
            do {
                try await store.deleteSession(SessionID(), tombstoneUntil: end)
            } catch let error as SessionStoreError {
                #expect(error.code == .full)
                refused += 1
            }
        }
        #expect(store.tombstoneCount <= 64 * 16 && refused == 5000 - store.tombstoneCount)
        clock.advance(61)
        _ = try await store.sessionCount()
        #expect(store.tombstoneCount == 0)
        try await store.deleteSession(SessionID(), tombstoneUntil: clock.now)
        #expect(store.tombstoneCount == 0, "one that is over already is none")
    }

    @Test("a session ends even when there is no room for its tombstone")
    func endsWithoutRoom() async throws {
        let store = store(maximum: 64 * 16)
        let end = clock.now.addingTimeInterval(60)
        for _ in 0..<5000 { try? await store.deleteSession(SessionID(), tombstoneUntil: end) }
        let id = try await store.createSession(tokens: tokens("1"), userInfo: UserInfo(subject: "s"))
        await #expect(throws: SessionStoreError.self) { try await store.deleteSession(id, tombstoneUntil: end) }
        #expect(try await store.session(for: id) == nil)
    }

    @Test("however sessions end, nothing of them stays in the indexes")
    func indexesShrink() async throws {
        let store = store(SessionPolicy(absoluteLifetime: .seconds(60), maximumPerUser: 3))
        for number in 0..<300 {
            let subject = "user-\(number % 20)"
            let id = try await store.createSession(
                tokens: tokens("sid-\(number)"), userInfo: UserInfo(subject: subject))
            switch number % 5 {
            case 0: try await store.deleteSession(id)
            case 1: try await store.deleteSession(id, tombstoneUntil: clock.now.addingTimeInterval(10))
            case 2: _ = try await store.refreshSession(id, tokens: tokens("other-\(number)"))
            case 3: _ = try await store.deleteSessions(ofUser: subject, except: id)
            default: break
            }
        }
        #expect(store.indexedNameCount > 0)
        clock.advance(61)
        #expect(try await store.sessionCount() == 0)
        #expect(store.indexedNameCount == 0 && store.heldSessionCount == 0)
    }

    @Test("a refresh that says another provider session leaves the session in that of its login, which was verified")
    func providerSessionStays() async throws {
        let store = store()
        let id = try await store.createSession(tokens: tokens("first"), userInfo: UserInfo(subject: "s"))
        _ = try await store.refreshSession(id, tokens: tokens("second"))
        #expect(try await store.sessions(ofProviderSession: "second").isEmpty)
        #expect(try await store.deleteSessions(ofProviderSession: "second") == 0)
        #expect(try await store.deleteSessions(ofProviderSession: "first") == 1)
        #expect(try await store.session(for: id) == nil)
        #expect(store.indexedNameCount == 0)
    }

    @Test("of a user's sessions a late one that is older than the limit allows is not taken over")
    func limitOnTakingOver() async throws {
        let store = store(SessionPolicy(maximumPerUser: 2))
        let old = clock.now
        clock.advance(10)
        let ids = [
            try await store.createSession(tokens: tokens("1"), userInfo: UserInfo(subject: "s")),
            try await store.createSession(tokens: tokens("2"), userInfo: UserInfo(subject: "s")),
        ]
        func session(_ createdAt: Date) -> Session {
            Session(
                tokens: tokens("3"), userInfo: UserInfo(subject: "s"), createdAt: createdAt,
                expiresAt: createdAt.addingTimeInterval(3600))
        }
        #expect(try await store.insertSession(session(old), for: SessionID()) == false)
        #expect(try await store.session(for: ids[0]) != nil)
        #expect(try await store.insertSession(session(clock.now.addingTimeInterval(1)), for: SessionID()))
        #expect(try await store.session(for: ids[0]) == nil, "the older of the two that began in one second")
        #expect(try await store.session(for: ids[1]) != nil)
    }

    @Test("the idle limit moves with each read, never beyond the absolute one, and lists show the last use")
    func idle() async throws {
        let store = store(SessionPolicy(absoluteLifetime: .seconds(100), idleTimeout: .seconds(30)))
        let id = try await store.createSession(tokens: tokens("1"), userInfo: UserInfo(subject: "s"))
        for _ in 0..<4 {
            clock.advance(24)
            #expect(try await store.sessions(ofUser: "s").count == 1)
            #expect(try await store.session(for: id) != nil)
            #expect(try await store.sessions(ofUser: "s").first?.lastSeenAt == clock.now)
        }
        clock.advance(3)
        #expect(try await store.session(for: id) != nil)
        clock.advance(1)
        #expect(try await store.session(for: id) == nil, "100 seconds are over")
        #expect(try await store.sessions(ofUser: "s").isEmpty)
    }
}

/// A target that does something between taking a session over and saying so.
private struct EndingTarget: SessionTransfer {
    let inner: InMemorySessionStore
    let between: @Sendable () async throws -> Void

    func insertSession(_ session: Session, for id: SessionID) async throws -> Bool {
        let isTaken = try await inner.insertSession(session, for: id)
        try await between()
        return isTaken
    }

    func createSession(_ new: NewSession) async throws -> SessionID { try await inner.createSession(new) }
    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        try await inner.deleteSession(id, ifTokensAre: tokens)
    }
    func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        try await inner.updateSession(id, change)
    }
    func session(for id: SessionID) async throws -> Session? { try await inner.session(for: id) }
    func deleteSession(_ id: SessionID) async throws { try await inner.deleteSession(id) }
    func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws {
        try await inner.deleteSession(id, tombstoneUntil: end)
    }
    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        try await inner.refreshSession(id, tokens: tokens)
    }
    func ping() async throws {}
}
