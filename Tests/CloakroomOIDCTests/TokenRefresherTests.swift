import Cloakroom
import Foundation
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@testable import CloakroomOIDC

@Suite("The refresher", .timeLimit(.minutes(2)))
struct TokenRefresherTests {
    private let store = FaultyStore()
    private let provider = RotatingProvider("refresh-1", "refresh-2")

    private func refresher(
        _ configure: (inout TokenRefresherConfiguration) -> Void = { _ in }
    ) -> TokenRefresher {
        var configuration = TokenRefresherConfiguration()
        configure(&configuration)
        return TokenRefresher(
            store: store, issuer: "https://provider.example.com", configuration: configuration, logger: quietLogger
        ) { [provider] session async throws(OIDCError) in try await provider.answer(session) }
    }

    /// A session whose access token has ended.
    private func endedSession(refreshToken: String? = "refresh-1") async throws -> SessionID {
        try await store.createSession(
            tokens: TokenSet(accessToken: "old-access", refreshToken: refreshToken, expiresIn: 0),
            userInfo: UserInfo(subject: "alice"))
    }

    /// A session whose access token is due and has some time left.
    private func dueSession() async throws -> SessionID {
        let payload = Base64URL.encode(Array("{\"exp\":\(Int(Date().timeIntervalSince1970) + 20)}".utf8))
        return try await store.createSession(
            tokens: TokenSet(accessToken: "e30.\(payload).c2ln", refreshToken: "refresh-1", expiresIn: 300),
            userInfo: UserInfo(subject: "alice"))
    }

    private func fresh(_ refresher: TokenRefresher, _ id: SessionID) async throws -> TokenRefresher.Outcome {
        guard let session = try await store.inner.session(for: id) else { return .ended }
        return try await refresher.freshSession(session, for: id)
    }

    private func stored(_ id: SessionID) async throws -> Session? { try await store.inner.session(for: id) }

    @Test("R21, R22: many callers, one call, and all get what was stored")
    func once() async throws {
        let id = try await endedSession()
        let refreshers = (0..<4).map { _ in refresher() }
        provider.slowDown(.milliseconds(50))
        let tokens = try await withThrowingTaskGroup(of: String?.self) { group in
            for number in 0..<200 {
                group.addTask {
                    guard case .ready(let session) = try await fresh(refreshers[number % 4], id) else { return nil }
                    return session.tokens.accessToken
                }
            }
            var all: Set<String?> = []
            for try await token in group { all.insert(token) }
            return all
        }
        #expect(tokens == ["new-access"])
        #expect(provider.calls == 1)
        #expect(try await stored(id)?.tokens.accessToken == "new-access")
    }

    @Test("A token that is due and still good is used at once, and refreshed meanwhile")
    func background() async throws {
        let id = try await dueSession()
        provider.slowDown(.milliseconds(300))
        let refresher = refresher()
        let before = try await stored(id)
        let outcome = try await fresh(refresher, id)
        // The old one: nobody has waited for the provider.
        #expect(try outcome == .ready(#require(before)))
        try await eventually("the new token") { try await stored(id)?.tokens.accessToken == "new-access" }
        #expect(provider.calls == 1)
    }

    private final class Kinds: SessionEventListener {
        private let state = Mutex<[SessionEvent.Kind]>([])
        var all: [SessionEvent.Kind] { state.withLock { $0 } }
        func receive(_ event: SessionEvent) { state.withLock { $0.append(event.kind) } }
    }

    @Test("a refresh that fails is told with its reason, and one that succeeds")
    func events() async throws {
        let id = try await endedSession()
        let events = SessionEvents()
        let kinds = Kinds()
        events.add(kinds)
        var configuration = TokenRefresherConfiguration()
        configuration.firstBackoff = .milliseconds(20)
        let refresher = TokenRefresher(
            store: store, issuer: "https://provider.example.com", configuration: configuration, events: events,
            logger: quietLogger
        ) { [provider] session async throws(OIDCError) in try await provider.answer(session) }
        provider.fail(OIDCError(.providerUnavailable, reason: "503"))
        _ = try await fresh(refresher, id)
        #expect(kinds.all == [.refreshFailed(reason: "provider_unavailable")])
        provider.fail(nil)
        try await eventually("the new token") {
            if case .ready = try await fresh(refresher, id) { true } else { false }
        }
        #expect(kinds.all.last == .refreshed)
        #expect(kinds.all.filter { $0 == .refreshed }.count == 1)
    }

    @Test("R24, R52: while the provider is down it is not asked at each request, and the session stays")
    func providerDown() async throws {
        let id = try await endedSession()
        provider.fail(OIDCError(.providerUnavailable, reason: "503"))
        let refresher = refresher { $0.firstBackoff = .milliseconds(400) }
        for _ in 0..<100 {
            guard case .providerUnavailable(let time) = try await fresh(refresher, id) else {
                Issue.record("not refused")
                return
            }
            #expect(time > .zero && time <= .milliseconds(400))
        }
        #expect(provider.calls == 1)
        provider.fail(nil)
        try await eventually("the new token", within: .seconds(2)) {
            if case .ready(let session) = try await fresh(refresher, id) {
                session.tokens.accessToken == "new-access"
            } else {
                false
            }
        }
        #expect(provider.calls == 2)
    }

    @Test("R24, R52: while the provider is down a token that is still good goes on, without a call for each request")
    func providerDownButGood() async throws {
        let id = try await dueSession()
        provider.fail(OIDCError(.invalidResponse, reason: "not JSON"))
        let refresher = refresher()
        for _ in 0..<200 {
            guard case .ready = try await fresh(refresher, id) else {
                Issue.record("not ready")
                return
            }
            await Task.yield()
        }
        try await eventually("the call") { provider.calls == 1 }
        #expect(provider.calls == 1)
    }

    @Test("R21: in a process that may not ask, what another has refreshed is used")
    func refreshedElsewhere() async throws {
        let id = try await endedSession()
        let stale = try #require(try await stored(id))
        provider.fail(OIDCError(.providerUnavailable, reason: "503"))
        let refresher = refresher { $0.firstBackoff = .seconds(60) }
        _ = try await fresh(refresher, id)
        try await store.refreshSession(id, tokens: TokenSet(accessToken: "theirs", expiresIn: 300))
        guard case .ready(let session) = try await refresher.freshSession(stale, for: id) else {
            Issue.record("not ready")
            return
        }
        #expect(session.tokens.accessToken == "theirs")
    }

    @Test("R19, R23, R24: invalid_grant and tokens of another login end the session; other errors don't")
    func whatEnds() async throws {
        for (code, ends) in [
            (OIDCError.Code.invalidGrant, true), (.identityMismatch, true), (.providerUnavailable, false),
            (.invalidResponse, false), (.clientRejected, false), (.invalidIDToken, false),
        ] {
            let id = try await endedSession()
            provider.fail(OIDCError(code, reason: "told so"))
            let outcome = try await fresh(refresher(), id)
            #expect((outcome == .ended) == ends, "\(code)")
            #expect((try await stored(id) == nil) == ends, "\(code)")
        }
    }

    @Test("R22: a session whose token has ended and that can't be refreshed is over")
    func noRefreshToken() async throws {
        let id = try await endedSession(refreshToken: nil)
        #expect(try await fresh(refresher(), id) == .ended)
        #expect(try await stored(id) == nil)
        #expect(provider.calls == 0)
    }

    @Test("R22: without a usable access token the new refresh token is kept, and the provider is left alone for a step")
    func withheldAccessToken() async throws {
        let id = try await endedSession()
        provider.withholdAccessTokens()
        let refresher = refresher()
        for _ in 0..<10 {
            guard case .providerUnavailable = try await fresh(refresher, id) else {
                Issue.record("not refused")
                return
            }
        }
        // Nor does another process, which learns of it by waiting, take the old access token for a new one.
        provider.slowDown(.milliseconds(100))
        let second = try await store.createSession(
            tokens: TokenSet(accessToken: "old-access", refreshToken: "refresh-2", expiresIn: 0),
            userInfo: UserInfo(subject: "alice"))
        let processes = (0..<3).map { _ in self.refresher() }
        try await withThrowingTaskGroup(of: TokenRefresher.Outcome.self) { group in
            for process in processes { group.addTask { try await fresh(process, second) } }
            for try await outcome in group {
                guard case .providerUnavailable = outcome else {
                    Issue.record("\(outcome)")
                    continue
                }
            }
        }
        let kept = try #require(try await stored(id)?.tokens.refreshToken)
        #expect(kept != "refresh-1")
    }

    @Test("R22, R24: invalid_grant against another replica's rotation: 1,000 races, no rotated session is ended")
    func invalidGrantAgainstRotation() async throws {
        let rotated = Shared(0)
        let refresher = TokenRefresher(
            store: store, issuer: "i", configuration: TokenRefresherConfiguration(), logger: quietLogger
        ) { _ async throws(OIDCError) in
            for _ in 0..<Int.random(in: 0...3) { await Task.yield() }
            throw OIDCError(.invalidGrant, reason: "used before")
        }
        for _ in 0..<20 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        let id = try await endedSession()
                        let session = try #require(try await stored(id))
                        async let outcome = refresher.freshSession(session, for: id)
                        for _ in 0..<Int.random(in: 0...12) { await Task.yield() }
                        let theirs = try await store.refreshSession(
                            id, tokens: TokenSet(accessToken: "theirs", refreshToken: "refresh-2", expiresIn: 300))
                        let got = try await outcome
                        let now = try await stored(id)
                        if theirs == nil {
                            #expect(got == .ended && now == nil)
                        } else {
                            rotated.withLock { $0 += 1 }
                            #expect(now?.tokens.refreshToken == "refresh-2")
                            guard case .ready(let session) = got else {
                                Issue.record("\(got)")
                                return
                            }
                            #expect(session.tokens.accessToken == "theirs")
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        let count = rotated.withLock { $0 }
        print("invalid_grant against rotation: 1000 races, \(count) rotated first")
        #expect((1..<1000).contains(count), "the race went one way only: \(count)")
    }

    @Test(
        "R22: a store that fails at any step is a typed error, and no token is lost",
        arguments: FaultyStore.Call.allCases, [false, true])
    func storeFails(call: FaultyStore.Call, foreign: Bool) async throws {
        let id = try await endedSession()
        let refresher = refresher { $0.leaseLifetime = .milliseconds(60) }
        provider.slowDown(.milliseconds(100))
        let session = try #require(try await stored(id))
        store.fail([call], foreign: foreign)
        do {
            let outcome = try await refresher.freshSession(session, for: id)
            guard case .ready = outcome else {
                Issue.record("\(outcome)")
                return
            }
        } catch let error as SessionStoreError {
            #expect(error.code == .unavailable)
        }
        store.fail([])
        // The provider kills a session whose refresh token is used twice: that it is ready is the proof.
        try await eventually("the new token") {
            if case .ready(let session) = try await fresh(refresher, id) {
                session.tokens.accessToken == "new-access"
            } else {
                false
            }
        }
        #expect(provider.calls == 1)
    }

    @Test("R24: when the store can't end a session that must end, that is an error, and the session ends later")
    func storeFailsAtEnd() async throws {
        let id = try await endedSession()
        let refresher = refresher()
        let session = try #require(try await stored(id))
        provider.fail(OIDCError(.invalidGrant, reason: "told so"))
        store.fail([.conditionalDelete, .delete])
        await #expect(throws: SessionStoreError.self) { _ = try await refresher.freshSession(session, for: id) }
        #expect(try await stored(id) != nil)
        store.fail([])
        #expect(try await fresh(refresher, id) == .ended)
    }

    @Test("R22: new tokens that the store could not take are kept when it is back, without a request")
    func keptLater() async throws {
        let id = try await endedSession()
        let refresher = refresher()
        let session = try #require(try await stored(id))
        store.fail([.complete, .release])
        await #expect(throws: SessionStoreError.self) { _ = try await refresher.freshSession(session, for: id) }
        // Asked again, it does not use the spent refresh token.
        await #expect(throws: SessionStoreError.self) { _ = try await refresher.freshSession(session, for: id) }
        store.fail([])
        try await eventually("the new token") { try await stored(id)?.tokens.accessToken == "new-access" }
        #expect(provider.calls == 1)
    }

    @Test("R22: at the end of the process refreshes under way and tokens that are held are stored first")
    func shutdown() async throws {
        let id = try await endedSession()
        let refresher = refresher()
        let session = try #require(try await stored(id))
        provider.slowDown(.milliseconds(200))
        let services = ServiceGroup(services: [refresher], logger: quietLogger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            let caller = Task { try await refresher.freshSession(session, for: id) }
            try await eventually("the call") { provider.calls == 1 }
            // The client hangs up.
            caller.cancel()
            await services.triggerGracefulShutdown()
            try await group.waitForAll()
        }
        #expect(try await stored(id)?.tokens.accessToken == "new-access")
    }

    @Test("R22: one that lost its lease to another does not overwrite the other's tokens")
    func leaseLost() async throws {
        let id = try await endedSession()
        provider.slowDown(.milliseconds(300))
        store.fail([.renew])
        let refresher = refresher { $0.leaseLifetime = .milliseconds(50) }
        let session = try #require(try await stored(id))
        async let outcome = refresher.freshSession(session, for: id)
        try await eventually("the call") { provider.calls == 1 }
        try await eventually("the end of the lease") {
            if case .granted = try await store.inner.acquireRefreshLease(for: id, lifetime: .seconds(5)) {
                true
            } else {
                false
            }
        }
        try await store.refreshSession(id, tokens: TokenSet(accessToken: "theirs", refreshToken: "r-9", expiresIn: 300))
        guard case .ready(let got) = try await outcome else {
            Issue.record("not ready")
            return
        }
        #expect(got.tokens.accessToken == "theirs")
        #expect(try await stored(id)?.tokens.refreshToken == "r-9")
    }
}
