import Cloakroom

import struct Foundation.Date

extension StoreConformance {
    private typealias Noting = any SessionStore & SessionDirectory & SessionEndNotes

    /// The checks for stores that keep `SessionEndNotes`, and are a `SessionDirectory` as well. A store that keeps none need not
    /// pass them.
    public static let endNoteChecks: [Check] = [
        noteCheck("the reason for which a session was ended is told by every replica, whichever way it was ended") {
            store, replica in
            for (reason, end) in ways {
                let id = try await store.createSession(
                    tokens: Sample.tokens(providerSession: "idp-1"), userInfo: user("jane"))
                try expect(try await replica.session(for: id) != nil, "it begins live")
                try expect(try await replica.endReason(of: id.handle) == nil, "a live session has no note")
                try await end(replica, id)
                try expect(try await store.session(for: id) == nil, "it is over")
                try await expectReason(reason, of: id, in: [store, replica])
            }
        },
        noteCheck("a stated reason is noted instead of the supposed one") { store, replica in
            let ids = try await create(3, of: "jane", in: store)
            try await SessionEndReason.revokedByOperator.around {
                try await replica.deleteSession(ids[0])
                _ = try await replica.deleteSession(ids[1].handle, ofUser: "jane")
                _ = try await replica.deleteSessions(ofUser: "jane", except: nil)
            }
            for id in ids { try await expectReason(.revokedByOperator, of: id, in: [store, replica]) }
        },
        noteCheck("a session that a login beyond the limit has ended says so", policy: SessionPolicy(maximumPerUser: 1))
        {
            store, replica in
            let older = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
            try await waitForNextSecond()
            let newer = try await replica.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
            try await expectReason(.limit, of: older, in: [store, replica])
            try expect(try await store.endReason(of: newer.handle) == nil, "the newer one has no note")
        },
        noteCheck(
            "what ended by itself, and what never was, has no note", policy: SessionPolicy(idleTimeout: .seconds(1))
        ) {
            store, replica in
            let unknown = SessionID()
            try await store.deleteSession(unknown)
            _ = try await store.deleteSession(unknown.handle, ofUser: "jane")
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
            try await waitUntil("it ends unused") { try await store.sessions(ofUser: "jane").isEmpty }
            try await replica.deleteSession(id)
            for reader in [store, replica] {
                for id in [unknown, id] {
                    try expect(try await reader.endReason(of: id.handle) == nil, "nobody has ended it")
                }
            }
        },
    ]

    /// Each way to end a session, and the reason that is supposed then.
    private static var ways: [(SessionEndReason, @Sendable (Noting, SessionID) async throws -> Void)] {
        [
            (.logout, { try await $0.deleteSession($1) }),
            (
                .invalidGrant,
                { store, id in
                    guard let tokens = try await store.session(for: id)?.tokens else { return }
                    _ = try await store.deleteSession(id, ifTokensAre: tokens)
                }
            ),
            (.revokedByUser, { _ = try await $0.deleteSession($1.handle, ofUser: "jane") }),
            (.revokedByOperator, { _ = try await $0.deleteSession($1.handle, ofUser: nil) }),
            (.revokedByUser, { store, _ in _ = try await store.deleteSessions(ofUser: "jane", except: nil) }),
            (.revokedByProvider, { store, _ in _ = try await store.deleteSessions(ofProviderSession: "idp-1") }),
            (.revokedByOperator, { store, _ in _ = try await store.deleteAllSessions() }),
        ]
    }

    private static func noteCheck(
        _ description: String, policy: SessionPolicy = SessionPolicy(),
        _ body: @escaping @Sendable (_ store: Noting, _ replica: Noting) async throws -> Void
    ) -> Check {
        Check(
            description, policy: policy, role: "SessionDirectory with SessionEndNotes",
            { subject -> (store: Noting, replica: Noting)? in
                guard let store = subject.store as? Noting, let replica = subject.replica as? Noting else { return nil }
                return (store, replica)
            }, body)
    }

    /// A note may come a moment after the end.
    private static func expectReason(
        _ reason: SessionEndReason, of id: SessionID, in stores: [Noting]
    ) async throws {
        for store in stores {
            var last: SessionEndReason?
            try await waitUntil("the reason is told", within: .seconds(5)) {
                last = try await store.endReason(of: id.handle)
                return last != nil
            }
            try expect(last == reason, "the reason is \(reason.rawValue), not \(last?.rawValue ?? "none")")
        }
    }
}
