import Cloakroom
import CloakroomRedis
import Foundation
import Synchronization
import TestSupport
import Testing

extension Integration {
    /// What processes that share a Redis hear of each other's sessions.
    @Suite struct SessionEventTests {
        private struct Heard: Sendable {
            let event: SessionEvent
            let time: ContinuousClock.Instant
        }

        private final class Listener: SessionEventListener {
            private let state = Mutex<[Heard]>([])
            func receive(_ event: SessionEvent) { state.withLock { $0.append(Heard(event: event, time: .now)) } }
            func heard() -> [Heard] { state.withLock { $0 } }

            func ends() -> [SessionHandle: (reason: SessionEndReason, time: ContinuousClock.Instant)] {
                var ends: [SessionHandle: (reason: SessionEndReason, time: ContinuousClock.Instant)] = [:]
                for heard in heard() {
                    guard case .ended(let reason) = heard.event.kind, let session = heard.event.session else {
                        continue
                    }
                    #expect(ends.updateValue((reason, heard.time), forKey: session) == nil, "an end is told once")
                }
                return ends
            }
        }

        private func configurations(
            _ listeners: [Listener], _ server: RedisServer, isSealed: Bool = false
        ) throws -> [RedisStoreConfiguration] {
            var configuration = RedisStoreConfiguration(url: try RedisURL(server.url))
            if isSealed { configuration.keyring = try SessionKeyring(SessionKeyring.generateKey()) }
            return listeners.map { listener in
                configuration.events = SessionEvents()
                configuration.events?.add(listener)
                return configuration
            }
        }

        @Test(
            "500 sessions end on one replica: it says why, the others know within 100 ms, and each says so once",
            arguments: [false, true])
        func endsElsewhere(isSealed: Bool) async throws {
            try await RedisServer.run { server in
                let listeners = (0..<3).map { _ in Listener() }
                try await withStores(try configurations(listeners, server, isSealed: isSealed)) { stores in
                    var latest = Duration.zero
                    for round in 0..<10 {
                        var ids: [SessionID] = []
                        for number in 0..<50 {
                            let info = UserInfo(subject: "user-\(round)-\(number % 5)")
                            ids.append(try await stores[0].createSession(tokens: .sample(), userInfo: info))
                        }
                        try await warm(stores, ids)
                        let own = round % 3
                        var start: [SessionHandle: ContinuousClock.Instant] = [:]
                        // The last ones go all at once, by their users.
                        for id in ids.prefix(40) {
                            start[id.handle] = .now
                            try await stores[own].deleteSession(id)
                        }
                        for id in ids.suffix(10) { start[id.handle] = .now }
                        for number in 0..<5 {
                            _ = try await stores[own].deleteSessions(ofUser: "user-\(round)-\(number)", except: nil)
                        }
                        try await eventually("all have heard") {
                            listeners.allSatisfy { listener in
                                let ends = listener.ends()
                                return ids.allSatisfy { ends[$0.handle] != nil }
                            }
                        }
                        for (number, listener) in listeners.enumerated() {
                            let ends = listener.ends()
                            for (position, id) in ids.enumerated() {
                                let end = try #require(ends[id.handle])
                                let reason: SessionEndReason = position < 40 ? .logout : .revokedByUser
                                #expect(end.reason == (number == own ? reason : .elsewhere))
                                latest = max(latest, end.time - (start[id.handle] ?? end.time))
                            }
                        }
                    }
                    report("500 ends on 3 replicas, the last one heard of after \(latest)")
                    #expect(latest < .milliseconds(100))
                }
            }
        }

        @Test("refreshes and uses elsewhere are no ends, and after them an end is heard of still")
        func changesThatAreNoEnds() async throws {
            try await RedisServer.run { server in
                let listeners = [Listener(), Listener()]
                try await withStores(try configurations(listeners, server)) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try await warm(stores, [id])
                    for number in 0..<20 {
                        _ = try await stores[0].refreshSession(id, tokens: .sample("\(number)"))
                    }
                    // Nothing reads it there, and yet it is watched.
                    try await eventually("the other replica has it again") { stores[1].nearCacheUsage.entries == 1 }
                    #expect(listeners.allSatisfy { $0.ends().isEmpty })
                    try await stores[0].deleteSession(id)
                    try await eventually("the other replica has heard") { listeners[1].ends()[id.handle] != nil }
                    #expect(listeners[1].ends()[id.handle]?.reason == .elsewhere)
                }
            }
        }

        @Test("a session that Redis lets go has ended by its limit, on each replica that had it")
        func timeIsOver() async throws {
            try await RedisServer.run { server in
                // A session begins at a whole second, so it may live for nearly a second less than these: long enough for both
                // replicas to read it.
                for (policy, reason): (SessionPolicy, SessionEndReason) in [
                    (SessionPolicy(absoluteLifetime: .seconds(60), idleTimeout: .seconds(2)), .idle),
                    (SessionPolicy(absoluteLifetime: .seconds(3)), .absolute),
                ] {
                    let listeners = [Listener(), Listener()]
                    try await withStores(try configurations(listeners, server), policy: policy) { stores in
                        let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                        try await warm(stores, [id])
                        try await eventually("both have heard") {
                            listeners.allSatisfy { $0.ends()[id.handle] != nil }
                        }
                        #expect(listeners.allSatisfy { $0.ends()[id.handle]?.reason == reason })
                    }
                }
            }
        }

        @Test("the sessions of a user beyond the limit end by it, and a Redis that goes away is told as missed events")
        func limitAndOutage() async throws {
            try await RedisServer.run { server in
                let listeners = [Listener()]
                try await withStores(try configurations(listeners, server), policy: SessionPolicy(maximumPerUser: 2)) {
                    stores in
                    var ids: [SessionID] = []
                    for _ in 0..<3 {
                        ids.append(try await stores[0].createSession(tokens: .sample(), userInfo: .jane))
                        // The oldest goes first, and Redis counts in milliseconds.
                        let now = Date()
                        try await eventually("a moment has passed") { Date().timeIntervalSince(now) > 0.002 }
                    }
                    #expect(listeners[0].ends().mapValues(\.reason) == [ids[0].handle: .limit])
                    try await warm(stores, Array(ids.suffix(2)))
                    #expect(!listeners[0].heard().contains { $0.event.kind == .missed(count: nil) })
                    server.kill()
                    try await eventually("events are missed") {
                        listeners[0].heard().contains { $0.event.kind == .missed(count: nil) }
                    }
                    #expect(listeners[0].ends().count == 1, "nobody knows of any end")
                }
            }
        }
    }
}
