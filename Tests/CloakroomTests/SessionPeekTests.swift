import Cloakroom
import Foundation
import Logging
import Synchronization
import Testing

@Suite struct SessionPeekTests {
    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let policy = SessionPolicy(absoluteLifetime: .seconds(3600), idleTimeout: .seconds(100))
    private let clock = Clock()

    private final class Clock: Sendable {
        let time = Mutex(Date(timeIntervalSince1970: 1_000_000))
    }

    private func memory(_ policy: SessionPolicy) -> InMemorySessionStore {
        InMemorySessionStore(
            policy: policy, maximumSessions: 100, logger: Self.silent, now: { [clock] in clock.time.withLock { $0 } })
    }

    private func pass(_ seconds: Double) { clock.time.withLock { $0 += seconds } }
    private var now: Date { clock.time.withLock { $0 } }

    @Test("R18: looking at a session is no use of it: it ends by its idle limit all the same")
    func noUse() async throws {
        let store = memory(policy)
        let id = try await store.createSession(tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"))
        pass(60)
        var peeked = try #require(try await store.peek(at: id))
        #expect(peeked.endsAt == now + 40 && peeked.limit == .idle && peeked.secondsLeft(at: now) == 40)
        #expect(try await store.session(for: id) != nil)
        peeked = try #require(try await store.peek(at: id))
        #expect(peeked.endsAt == now + 100, "a use moves the end")
        for _ in 0..<9 {
            pass(11)
            #expect(try await store.peek(at: id) != nil)
        }
        pass(1)
        #expect(try await store.peek(at: id) == nil)
        #expect(try await store.session(for: id) == nil)
    }

    @Test("the absolute limit is what ends a session that is used, and is named as such")
    func absolute() async throws {
        let store = memory(policy)
        let id = try await store.createSession(tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"))
        for _ in 0..<39 {
            pass(91)
            #expect(try await store.session(for: id) != nil)
        }
        let peeked = try #require(try await store.peek(at: id))
        #expect(peeked.limit == .absolute && peeked.endsAt == peeked.session.expiresAt)
        #expect(peeked.secondsLeft(at: now) == 51 && peeked.secondsLeft(at: now + 1000) == 0)
        #expect(try await memory(SessionPolicy()).peek(at: id) == nil)
    }

    @Test("after a use, the time left that is told is never more than there is")
    func used() throws {
        let session = Session(
            tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"), createdAt: now, expiresAt: now + 3600)
        #expect(policy.used(session, at: now).endsAt == now + 90, "a use may have been noted 10 s ago")
        #expect(policy.used(session, at: now + 3590).endsAt == now + 3600)
        #expect(SessionPolicy().used(session, at: now).endsAt == now + 3600)
    }

    @Test("two stores as one show what either has; what only the secondary has is not copied up by a look")
    func hybrid() async throws {
        let (primary, secondary) = (memory(policy), memory(policy))
        let store = HybridSessionStore(primary: primary, secondary: secondary, policy: policy, logger: Self.silent)
        let id = try await secondary.createSession(tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"))
        #expect(try await store.peek(at: id)?.session.tokens.accessToken == "a")
        #expect(try await primary.peek(at: id) == nil)
        #expect(try await store.session(for: id) != nil)
        #expect(try await primary.peek(at: id) != nil)
        try await store.deleteSession(id)
        #expect(try await store.peek(at: id) == nil)
        #expect(try await store.peek(at: SessionID()) == nil)
    }
}
