import Cloakroom

import struct Foundation.Date

extension StoreConformance {
    /// The checks for stores that are a `SessionPeek`.
    public static let peekChecks: [Check] = [
        peek("R18: looking at a session is no use of it: it ends at its idle limit", idle: .seconds(1)) {
            store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            try await waitUntil("it ends although it is looked at all the time", within: .seconds(5)) {
                let there = try await store.peek(at: id)
                let here = try await replica.peek(at: id)
                return there == nil && here == nil
            }
            try expect(try await store.session(for: id) == nil, "it has ended for every reader")
        },
        peek("R18: a look says when the session ends, which a use moves", idle: .seconds(4)) { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            guard let first = try await store.peek(at: id) else { throw ConformanceFailure("a new session is seen") }
            try expect(first.session == (try await replica.session(for: id)), "what is seen is the session")
            let left = first.endsAt.timeIntervalSinceNow
            try expect(left > 0 && left <= 4.2 && first.limit == .idle, "it ends at its idle limit of 4 s")
            try await waitUntil("a use moves the end") {
                _ = try await store.session(for: id)
                guard let next = try await replica.peek(at: id) else { return false }
                return next.endsAt.timeIntervalSince(first.endsAt) > 0.2
            }
        },
        peek("R20: a session that was ended is not seen any more, by any replica", idle: nil) { store, replica in
            try expect(try await store.peek(at: SessionID()) == nil, "an unknown session is not seen")
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            guard let seen = try await replica.peek(at: id) else { throw ConformanceFailure("a new session is seen") }
            try expect(
                seen.limit == .absolute && seen.endsAt == seen.session.expiresAt, "it ends at its absolute limit")
            try await store.refreshSession(id, tokens: Sample.tokens("again"))
            try expect(
                try await store.peek(at: id)?.session.tokens == Sample.tokens("again"), "new tokens are seen at once")
            try await store.deleteSession(id)
            try expect(try await store.peek(at: id) == nil, "it is not seen after its end")
            try await waitUntil("no replica sees it") { try await replica.peek(at: id) == nil }
        },
    ]

    private static func peek(
        _ description: String, idle: Duration?,
        _ body:
            @escaping @Sendable (any SessionStore & SessionPeek, any SessionStore & SessionPeek) async throws -> Void
    ) -> Check {
        Check(
            description, policy: SessionPolicy(idleTimeout: idle), role: "SessionPeek",
            { subject -> (store: any SessionStore & SessionPeek, replica: any SessionStore & SessionPeek)? in
                guard let store = subject.store as? any SessionStore & SessionPeek,
                    let replica = subject.replica as? any SessionStore & SessionPeek
                else { return nil }
                return (store, replica)
            }, body)
    }
}
