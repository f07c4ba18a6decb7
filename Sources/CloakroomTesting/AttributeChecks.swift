import Cloakroom

private enum Counter: SessionAttributeKey {
    typealias Value = Int
    static let name = "conformance.counter"
}

private enum Cart: SessionAttributeKey {
    struct Value: Codable, Sendable, Equatable {
        var items: [String: Int]
        var note: String?
    }
    static let name = "conformance.cart"
}

private struct Refusal: Error {}

extension StoreConformance {
    /// The checks of what the app and the server keep beside tokens, and of ends on a condition; part of ``checks``.
    public static let attributeChecks: [Check] = [
        Check("what a session begins with is read back by any replica") { subject in
            var attributes = SessionAttributes()
            attributes[Counter.self] = 7
            let new = NewSession(
                tokens: Sample.tokens(), userInfo: Sample.userInfo, issuer: "https://idp.example/realms/ä",
                providerSessionID: "sid-1",
                client: SessionClient(userAgent: "Browser/1.0 \"x\"", address: "2001:db8::1"),
                attributes: attributes)
            let id = try await subject.store.createSession(new)
            for reader in [subject.store, subject.replica] {
                let session = try await reader.session(for: id)
                try expect(session?.issuer == new.issuer, "the issuer is kept")
                try expect(session?.providerSessionID == "sid-1", "the provider's session is kept")
                try expect(session?.client == new.client, "the client is kept")
                try expect(session?[Counter.self] == 7, "the attributes are kept")
            }
        },
        Check("the app's own data is read back by any replica, and survives a refresh") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let cart = Cart.Value(items: ["coat \u{0}\"é": 2], note: nil)
            let before = try await subject.store.session(for: id)
            let updated = try await subject.replica.updateSession(id) { $0[Cart.self] = cart }
            try expect(updated?[Cart.self] == cart, "the update answers with the session as it stands")
            // A replica that holds the session in memory may hear of a change a moment after the caller.
            try await waitUntil("another replica reads it", within: .seconds(1)) {
                try await subject.store.session(for: id)?[Cart.self] == cart
            }
            let refreshed = try await subject.store.refreshSession(id, tokens: Sample.tokens("second"))
            try expect(refreshed?[Cart.self] == cart, "it survives a refresh")
            let removed = try await subject.store.updateSession(id) { $0[Cart.self] = nil }
            try expect(removed?[Cart.self] == nil, "it can be removed")
            try await waitUntil("and then is gone for every replica", within: .seconds(1)) {
                try await subject.replica.session(for: id)?.attributes.isEmpty == true
            }
            let after = try await subject.replica.session(for: id)
            try expect(
                after?.tokens == refreshed?.tokens && after?.expiresAt == before?.expiresAt
                    && after?.userInfo == before?.userInfo, "an update changes nothing else")
        },
        Check("attributes that are not fit to be stored are refused, and nothing is lost") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            try await subject.store.updateSession(id) { $0[Counter.self] = 1 }
            do {
                try await subject.store.updateSession(id) {
                    $0[Cart.self] = Cart.Value(
                        items: [:], note: String(repeating: "x", count: SessionAttributes.maximumSize))
                }
                throw ConformanceFailure("attributes that are too large are refused")
            } catch is SessionAttributesError {}
            do {
                try await subject.store.updateSession(id) { attributes in
                    attributes[Counter.self] = 2
                    throw Refusal()
                }
                throw ConformanceFailure("what the change throws is thrown")
            } catch is Refusal {}
            let session = try await subject.replica.session(for: id)
            try expect(session?[Counter.self] == 1 && session?[Cart.self] == nil, "nothing was written")
        },
        Check("an update of an unknown or deleted session answers nil and makes none") { subject in
            let unknown = SessionID()
            try expect(
                try await subject.store.updateSession(unknown) { $0[Counter.self] = 1 } == nil, "nil for an unknown one"
            )
            try expect(try await subject.store.session(for: unknown) == nil, "and there is none after it")
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            try await subject.store.deleteSession(id)
            try expect(
                try await subject.replica.updateSession(id) { $0[Counter.self] = 1 } == nil, "nil for a deleted one")
            try expect(try await subject.store.session(for: id) == nil, "and it stays deleted")
        },
        Check("of 1,000 updates at once, on two replicas, none is lost") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<1000 {
                    let store = number.isMultiple(of: 2) ? subject.store : subject.replica
                    group.addTask { _ = try await store.updateSession(id) { $0[Counter.self, default: 0] += 1 } }
                }
                try await group.waitForAll()
            }
            let count = try await subject.store.updateSession(id) { $0[Counter.self, default: 0] += 1 }?[Counter.self]
            try expect(count == 1001, "1,001 were counted, not \(count ?? 0)")
        },
        Check("R30: of many races of logout against an update, none revives the session") { subject in
            for _ in 0..<rounds(500) {
                let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
                async let updated = subject.replica.updateSession(id) { $0[Counter.self] = 1 }
                async let ended: Void = subject.store.deleteSession(id)
                _ = try await (updated, ended)
                try expect(try await subject.replica.session(for: id) == nil, "it stays ended")
                try expect(try await subject.store.session(for: id) == nil, "for every replica")
            }
        },
        Check("R24: a session is ended on a condition only if its tokens are still the same") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            guard let first = try await subject.store.session(for: id)?.tokens else {
                throw ConformanceFailure("it begins live")
            }
            let refreshed = try await subject.replica.refreshSession(id, tokens: Sample.tokens("second"))
            guard case .changed(let current) = try await subject.store.deleteSession(id, ifTokensAre: first) else {
                throw ConformanceFailure("one with other tokens is not ended")
            }
            try expect(current.tokens == refreshed?.tokens, "the answer has the tokens that count")
            try expect(try await subject.replica.session(for: id) != nil, "it lives on")
            let outcome = try await subject.replica.deleteSession(id, ifTokensAre: current.tokens)
            try expect(outcome == .ended, "one with these tokens is ended")
            try expect(try await subject.store.session(for: id) == nil, "for every replica")
            let again = try await subject.store.deleteSession(id, ifTokensAre: current.tokens)
            try expect(again == .absent, "there is none any more")
        },
        Check("R24: of many races of a refresh against a conditional end, none ends the refreshed session") { subject in
            for _ in 0..<rounds(500) {
                let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
                async let outcome = subject.store.deleteSession(id, ifTokensAre: Sample.tokens())
                async let refreshed = subject.replica.refreshSession(id, tokens: Sample.tokens("second"))
                let isRefreshed = try await refreshed != nil
                let hasEnded = try await outcome == .ended
                try expect(isRefreshed != hasEnded, "one of the two happens")
                let isLive = try await subject.store.session(for: id) != nil
                try expect(isLive == isRefreshed, "and that holds")
            }
        },
    ]

    static let issuerChecks: [Check] = [
        directoryCheck("users and sessions of two providers with the same names are strangers to each other") {
            store, replica in
            let issuers = ["https://a.example", "https://b.example"]
            var ids: [SessionID] = []
            for issuer in issuers {
                ids.append(
                    try await store.createSession(
                        NewSession(
                            tokens: Sample.tokens(), userInfo: user("jane"), issuer: issuer, providerSessionID: "sid-1")
                    ))
            }
            for (issuer, id) in zip(issuers, ids) {
                let jane = UserIdentity(issuer: issuer, subject: "jane")
                let listed = try await replica.sessions(ofUser: jane)
                try expect(listed.map(\.handle) == [id.handle], "a user's list is that of their provider")
                try expect(listed.first?.user == jane, "it says which provider")
                try expect(try await store.sessionCount(ofUser: jane) == 1, "so is their count")
                let within = try await store.sessions(ofProviderSession: .init(issuer: issuer, sid: "sid-1"))
                try expect(within.map(\.handle) == [id.handle], "so is the list of a provider's session")
            }
            let (janeOfA, janeOfB) = (
                UserIdentity(issuer: issuers[0], subject: "jane"), UserIdentity(issuer: issuers[1], subject: "jane")
            )
            try expect(try await store.deleteSession(ids[1].handle, ofUser: janeOfA) == false, "it is not hers to end")
            try expect(
                try await replica.deleteSessions(ofProviderSession: .init(issuer: issuers[0], sid: "sid-1")) == 1,
                "a provider ends its own")
            try await expectEnded([ids[0]], in: [store, replica])
            try expect(try await store.session(for: ids[1]) != nil, "and not the other's")
            try expect(try await store.deleteSessions(ofUser: janeOfA, except: nil) == 0, "none of hers is left")
            try expect(try await replica.session(for: ids[1]) != nil, "the other's still lives")
            try expect(try await store.deleteSessions(ofUser: janeOfB, except: nil) == 1, "until it is ended")
            try await expectEnded([ids[1]], in: [store, replica])
        },
        directoryCheck(
            "the default issuer's users are found with and without its name",
            policy: SessionPolicy(defaultIssuer: "https://a.example")
        ) { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
            let named = UserIdentity(issuer: "https://a.example", subject: "jane")
            try expect(try await replica.sessions(ofUser: named).map(\.handle) == [id.handle], "with its name")
            try expect(try await replica.sessions(ofUser: "jane").map(\.handle) == [id.handle], "without it")
            let other = UserIdentity(issuer: "https://b.example", subject: "jane")
            try expect(try await replica.sessions(ofUser: other).isEmpty, "and not as another's")
            try expect(try await store.session(for: id)?.issuer == "https://a.example", "the session names it")
        },
        directoryCheck("subjects that look the same but differ in their bytes are two users") { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jos\u{E9}"))
            try expect(try await replica.sessions(ofUser: "jose\u{301}").isEmpty, "they are strangers")
            try expect(try await replica.deleteSessions(ofUser: "jose\u{301}", except: nil) == 0, "to each other")
            try expect(try await store.session(for: id) != nil, "so it lives")
        },
    ]
}
