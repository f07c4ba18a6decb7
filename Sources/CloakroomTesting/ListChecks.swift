import Cloakroom
import Synchronization

import struct Foundation.Date

extension StoreConformance {
    typealias Directory = any SessionStore & SessionDirectory

    static let listChecks: [Check] = [
        directoryCheck("a user's sessions are listed by every replica, the newest first, as what they are") {
            store, replica in
            let older = try await store.createSession(
                tokens: Sample.tokens(providerSession: "idp-1"), userInfo: user("jane"))
            try await waitForNextSecond()
            let newer = try await replica.createSession(tokens: TokenSet(accessToken: "a"), userInfo: user("jane"))
            _ = try await store.createSession(tokens: Sample.tokens(), userInfo: user("joe"))
            for directory in [store, replica] {
                let listed = try await directory.sessions(ofUser: "jane")
                try expect(listed.map(\.handle) == [newer.handle, older.handle], "the newer comes first, and no other")
                for (summary, id) in zip(listed, [newer, older]) {
                    let session = try await store.session(for: id)
                    try expect(summary.subject == "jane" && summary.userName == "jane's name", "the user is right")
                    try expect(summary.createdAt == session?.createdAt, "created_at is right")
                    try expect(summary.expiresAt == session?.expiresAt, "expires_at is right")
                }
                try expect(listed.map(\.providerSessionID) == [nil, "idp-1"], "the provider's session is right")
                try expect(try await directory.sessions(ofUser: "nobody").isEmpty, "an unknown user has no sessions")
            }
        },
        directoryCheck("the sessions of a provider session are listed, whoever the user is") { store, replica in
            let first = try await store.createSession(
                tokens: Sample.tokens(providerSession: "idp-1"), userInfo: user("jane"))
            let second = try await replica.createSession(
                tokens: Sample.tokens(providerSession: "idp-1"), userInfo: user("joe"))
            _ = try await store.createSession(tokens: Sample.tokens(providerSession: "idp-2"), userInfo: user("jane"))
            _ = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
            for directory in [store, replica] {
                let listed = try await directory.sessions(ofProviderSession: "idp-1")
                try expect(Set(listed.map(\.handle)) == [first.handle, second.handle], "those two and no others")
                try expect(listed.allSatisfy { $0.providerSessionID == "idp-1" }, "each says that it is of it")
                try expect(try await directory.sessions(ofProviderSession: "idp").isEmpty, "a part of a name is none")
            }
        },
        directoryCheck("pages cover all sessions, and end") { store, replica in
            var expected: Set<SessionHandle> = []
            let count = rounds(250)
            for number in 0..<count {
                let id = try await store.createSession(tokens: Sample.tokens(), userInfo: user("user-\(number % 50)"))
                expected.insert(id.handle)
            }
            for (directory, limit) in [(store, 20), (replica, 1000), (replica, 1)] {
                let listed = try await all(of: directory, limit: limit)
                try expect(Set(listed.map(\.handle)) == expected, "the pages hold all \(count), and nothing else")
            }
        },
        directoryCheck("a page that comes from another place is refused") { store, _ in
            for text in ["", "no cursor", "-1.-1", "999999.1", "\u{0}"] {
                do {
                    _ = try await store.sessions(after: SessionPage.Cursor(text), limit: 10)
                } catch is SessionStoreError {
                    continue
                }
                throw ConformanceFailure("a cursor that it did not make is refused")
            }
        },
        directoryCheck("sessions are counted, all and a user's") { store, replica in
            for number in 0..<7 {
                _ = try await store.createSession(
                    tokens: Sample.tokens(), userInfo: user(number < 3 ? "jane" : "joe"))
            }
            for directory in [store, replica] {
                try expect(try await directory.sessionCount() == 7, "there are 7")
                try expect(try await directory.sessionCount(ofUser: "jane") == 3, "3 are hers")
                try expect(try await directory.sessionCount(ofUser: "nobody") == 0, "an unknown user has none")
            }
        },
        directoryCheck("a refresh leaves a session in the lists, once") { store, replica in
            let id = try await store.createSession(
                tokens: Sample.tokens(providerSession: "idp-1"), userInfo: user("jane"))
            let before = try await store.sessions(ofUser: "jane")
            _ = try await replica.refreshSession(id, tokens: TokenSet(accessToken: "new"))
            _ = try await replica.refreshSession(id, tokens: Sample.tokens(providerSession: "idp-1"))
            try expect(try await store.sessions(ofUser: "jane") == before, "the list is as it was")
            try expect(
                try await store.sessions(ofProviderSession: "idp-1").map(\.handle) == [id.handle],
                "and so is that of the provider session")
        },
        directoryCheck(
            "R18: sessions that ended by themselves are in no list and in no count",
            policy: SessionPolicy(absoluteLifetime: .seconds(2))
        ) { store, replica in
            _ = try await store.createSession(tokens: Sample.tokens(providerSession: "idp-1"), userInfo: user("jane"))
            try await waitUntil("they end") { try await isEmpty(store) }
            try expect(try await isEmpty(replica), "the other replica sees it too")
        },
        directoryCheck(
            "R18: a list is no use: unused sessions end and leave it, used ones stay and say when they were last seen",
            policy: SessionPolicy(idleTimeout: .seconds(2))
        ) { store, replica in
            // A machine that is busy may let so much time pass between two uses that the used one rightly ends: then again.
            for _ in 0..<5 {
                if try await checkIdleLists(store, replica) { return }
            }
            throw ConformanceFailure("the machine was too busy to use a session every second")
        },
    ]

    /// - Returns: `false` when the used session was used too seldom to tell.
    private static func checkIdleLists(_ store: Directory, _ replica: Directory) async throws -> Bool {
        let used = try await store.createSession(tokens: Sample.tokens(), userInfo: user("joe"))
        let unused = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
        let start = Date()
        let isOver = Mutex(false)
        // In a task of its own: a list of a large store takes its time.
        async let use = {
            var lastUse = ContinuousClock.now
            var longestGap = Duration.zero
            var isLive = true
            // Not ended by cancellation, which would end a call under way too.
            while isLive, !isOver.withLock({ $0 }) {
                let asked = ContinuousClock.now
                isLive = try await store.session(for: used) != nil
                longestGap = max(longestGap, .now - lastUse)
                lastUse = asked
                try await Task.sleep(for: .milliseconds(50))
            }
            return (isLive: isLive, longestGap: longestGap)
        }()
        try await waitUntil("the unused one ends although it is listed all the time") {
            _ = try await all(of: replica, limit: 10)
            // A few times a second will do: a list of everything is work for a store.
            try await Task.sleep(for: .milliseconds(200))
            return try await store.sessions(ofUser: "jane").isEmpty
        }
        let seen = try await replica.sessions(ofUser: "joe").first { $0.handle == used.handle }?.lastSeenAt
        isOver.withLock { $0 = true }
        let (isLive, longestGap) = try await use
        guard isLive else {
            try expect(longestGap > .milliseconds(1500), "the used one lives")
            return false
        }
        // It may be missing from the list only if nothing used it for that long.
        if seen == nil, longestGap > .milliseconds(1500) { return false }
        try expect(seen.map { $0 > start && $0 < Date().addingTimeInterval(1) } == true, "its last use is noted")
        try expect(try await store.session(for: unused) == nil, "the unused one has ended indeed")
        try expect(try await replica.sessionCount(ofUser: "jane") == 0, "it is counted no more")
        return true
    }

    static func directoryCheck(
        _ description: String, policy: SessionPolicy = SessionPolicy(),
        _ body: @escaping @Sendable (_ store: Directory, _ replica: Directory) async throws -> Void
    ) -> Check {
        Check(
            description, policy: policy, role: "SessionDirectory",
            { subject -> (store: Directory, replica: Directory)? in
                guard let store = subject.directory, let replica = subject.replica as? Directory else { return nil }
                return (store, replica)
            }, body)
    }

    static func user(_ subject: String) -> UserInfo { UserInfo(subject: subject, name: "\(subject)'s name") }

    /// What all pages hold.
    static func all(of directory: Directory, limit: Int) async throws -> [SessionSummary] {
        var found: [SessionSummary] = []
        var cursor: SessionPage.Cursor?
        for _ in 0..<100_000 {
            let page = try await directory.sessions(after: cursor, limit: limit)
            found.append(contentsOf: page.sessions)
            guard let next = page.next else { return found }
            cursor = next
        }
        throw ConformanceFailure("the pages end")
    }

    /// Whether no list shows anything of the user `jane`, of the provider session `idp-1` or of anyone.
    static func isEmpty(_ directory: Directory) async throws -> Bool {
        guard try await directory.sessions(ofUser: "jane").isEmpty else { return false }
        guard try await directory.sessions(ofProviderSession: "idp-1").isEmpty else { return false }
        guard try await all(of: directory, limit: 100).isEmpty else { return false }
        guard try await directory.sessionCount() == 0 else { return false }
        return try await directory.sessionCount(ofUser: "jane") == 0
    }

    static func areEmpty(_ store: Directory, _ replica: Directory) async throws -> Bool {
        guard try await isEmpty(store) else { return false }
        return try await isEmpty(replica)
    }
}
