import Cloakroom
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

/// Keeps what it hears.
final class RecordingListener: SessionEventListener {
    private let state = Mutex<[SessionEvent]>([])
    var events: [SessionEvent] { state.withLock { $0 } }
    func receive(_ event: SessionEvent) { state.withLock { $0.append(event) } }
}

@Suite struct SessionEventsTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let jane = UserInfo(subject: "jane")

    private func store(
        _ policy: SessionPolicy
    ) -> (InMemorySessionStore, RecordingListener) {
        let events = SessionEvents()
        let listener = RecordingListener()
        events.add(listener)
        return (InMemorySessionStore(policy: policy, events: events, logger: logger), listener)
    }

    private func ends(_ listener: RecordingListener) -> [SessionHandle: SessionEndReason] {
        var ends: [SessionHandle: SessionEndReason] = [:]
        for event in listener.events {
            guard case .ended(let reason) = event.kind, let session = event.session else { continue }
            #expect(ends.updateValue(reason, forKey: session) == nil, "an end is told once")
        }
        return ends
    }

    @Test("each way to end a session has its reason, and each end is told once")
    func reasons() async throws {
        let (store, listener) = store(SessionPolicy(maximumPerUser: 3))
        var ids: [SessionID] = []
        func create(_ info: UserInfo, sid: String? = nil) async throws -> SessionID {
            try await store.createSession(
                NewSession(
                    tokens: TokenSet(accessToken: "a"), userInfo: info, issuer: "https://id.example",
                    providerSessionID: sid))
        }
        func user(_ subject: String) -> UserIdentity { UserIdentity(issuer: "https://id.example", subject: subject) }
        for _ in 0..<4 { ids.append(try await create(jane)) }
        #expect(ends(listener) == [ids[0].handle: .limit])
        try await store.deleteSession(ids[1])
        try await store.deleteSession(ids[1])
        #expect(try await store.deleteSession(ids[2], ifTokensAre: TokenSet(accessToken: "other")) != .ended)
        #expect(try await store.deleteSession(ids[2], ifTokensAre: TokenSet(accessToken: "a")) == .ended)
        #expect(try await store.deleteSession(ids[3].handle, ofUser: user("jane")))
        let (joe, june, jim) = (
            try await create(UserInfo(subject: "joe")), try await create(UserInfo(subject: "june"), sid: "s"),
            try await create(UserInfo(subject: "jim"))
        )
        #expect(
            try await SessionEndReason.revokedByOperator.around {
                try await store.deleteSessions(ofUser: user("joe"), except: nil)
            } == 1)
        #expect(
            try await store.deleteSessions(
                ofProviderSession: ProviderSession(issuer: "https://id.example", sid: "s")) == 1)
        #expect(try await store.deleteAllSessions() == 1)
        #expect(
            ends(listener) == [
                ids[0].handle: .limit, ids[1].handle: .logout, ids[2].handle: .invalidGrant,
                ids[3].handle: .revokedByUser, joe.handle: .revokedByOperator, june.handle: .revokedByProvider,
                jim.handle: .revokedByOperator,
            ])
        #expect(listener.events.filter { $0.kind == .began }.map(\.session).count == 7)
        #expect(listener.events.allSatisfy { $0.user?.issuer == "https://id.example" })
    }

    @Test("a session whose time is over has ended by the limit that has come, when it is dropped")
    func times() async throws {
        let clock = Shared(Date())
        for (idle, reason): (Duration?, SessionEndReason) in [(.seconds(60), .idle), (nil, .absolute)] {
            let events = SessionEvents()
            let listener = RecordingListener()
            events.add(listener)
            clock.value = Date()
            let store = InMemorySessionStore(
                policy: SessionPolicy(absoluteLifetime: .seconds(3600), idleTimeout: idle), maximumSessions: 10,
                events: events, logger: logger, now: { clock.value })
            let id = try await store.createSession(tokens: TokenSet(accessToken: "a"), userInfo: jane)
            clock.value += idle == nil ? 3601 : 61
            #expect(try await store.sessionCount() == 0)
            #expect(ends(listener) == [id.handle: reason])
        }
    }

    @Test("what this process is ending itself is not taken for another's doing, whoever tells first")
    func ownEnds() {
        let events = SessionEvents()
        let listener = RecordingListener()
        events.add(listener)
        let handles = (0..<5).map { _ in SessionID().handle }
        let user = UserIdentity(issuer: nil, subject: "jane")
        let login = ProviderSession(issuer: nil, sid: "s")
        let subjects: [(SessionEvents.Subject, SessionEndReason)] = [
            (.session(handles[0]), .logout), (.user(user), .revokedByUser),
            (.providerSession(login), .revokedByProvider),
            (.all, .revokedByOperator),
        ]
        for (number, (subject, reason)) in subjects.enumerated() {
            events.begin(subject, reason)
            events.begin(subject, reason)
            events.finish(subject)
            events.foundEnded(handles[number], user: user, providerSession: login, otherwise: .elsewhere)
            events.emit(SessionEvent(.ended(reason), session: handles[number], user: user))
            events.finish(subject)
        }
        events.foundEnded(handles[4], user: user, providerSession: login, otherwise: .elsewhere)
        #expect(
            ends(listener) == [
                handles[0]: .logout, handles[1]: .revokedByUser, handles[2]: .revokedByProvider,
                handles[3]: .revokedByOperator, handles[4]: .elsewhere,
            ])
    }

    @Test("a listener that is slow loses the newest events, learns how many, and holds nobody up")
    func slowListener() async {
        let events = SessionEvents()
        let slow = events.stream(capacity: 10)
        let fast = events.stream(capacity: 1000)
        for _ in 0..<100 { events.emit(SessionEvent(.began)) }
        var received: [SessionEvent.Kind] = []
        for await event in slow {
            received.append(event.kind)
            if received.count == 10 { break }
        }
        #expect(received == Array(repeating: .began, count: 10))
        events.emit(SessionEvent(.refreshed))
        received = []
        for await event in slow {
            received.append(event.kind)
            if received.count == 2 { break }
        }
        #expect(received == [.missed(count: 90), .refreshed])
        var count = 0
        for await _ in fast {
            count += 1
            if count == 101 { break }
        }
        #expect(count == 101)
    }

    @Test("the memory for ends that were told is bounded")
    func bounded() {
        let events = SessionEvents()
        let listener = RecordingListener()
        events.add(listener)
        let first = SessionID().handle
        events.emit(SessionEvent(.ended(.logout), session: first))
        for _ in 0..<20_000 { events.emit(SessionEvent(.ended(.logout), session: SessionID().handle)) }
        events.emit(SessionEvent(.ended(.logout), session: first))
        #expect(listener.events.count == 20_002, "it was forgotten meanwhile")
    }

    @Test("logs and metrics show the handle and the reason, and no user")
    func log() {
        let log = RecordingLog()
        let listener = SessionEventLog(logger: log.logger)
        let handle = SessionID().handle
        let user = UserIdentity(issuer: "https://id.example", subject: "jane-248289761001")
        for kind: SessionEvent.Kind in [
            .began, .refreshed, .refreshFailed(reason: "provider_unavailable"), .ended(.limit),
            .denied(reason: "cross_site_request"), .missed(count: 3),
        ] { listener.receive(SessionEvent(kind, session: handle, user: user)) }
        #expect(log.lines.count == 6)
        #expect(log.lines.allSatisfy { $0.contains(handle.description) && !$0.contains("jane") })
        #expect(log.lines[3].contains("reason=limit") && log.lines[3].contains("A session ended"))
    }
}

/// A value that tests and what they test share.
final class Shared<Value: Sendable>: Sendable {
    private let state: Mutex<Value>
    init(_ value: Value) { state = Mutex(value) }
    var value: Value {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
    func change(_ body: (inout Value) -> Void) {
        state.withLock { value in
            var copy = value
            body(&copy)
            value = copy
        }
    }
}
