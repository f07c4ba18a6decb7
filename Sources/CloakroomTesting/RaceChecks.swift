import Cloakroom

extension StoreConformance {
    static let raceChecks: [Check] = [
        Check("R30: of many races of logout against refresh, none revives the session") { subject in
            try await race(count: rounds(1000), subject)
        },
        // Where each use is noted, a read is a write, and must not bring a session back either.
        Check(
            "R30: of many races of logout against use, with an idle limit, none revives the session",
            policy: SessionPolicy(idleTimeout: .seconds(3600))
        ) { subject in
            try await race(count: rounds(500), subject)
        },
    ]

    /// Races a logout against a refresh and a read, over and over.
    ///
    /// - Throws: ``ConformanceFailure`` when a session is live once its logout and all else is over.
    public static func race(count: Int, _ subject: ConformanceSubject) async throws {
        for start in stride(from: 0, to: count, by: 50) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in start..<min(start + 50, count) {
                    group.addTask { try await raceOnce(subject) }
                }
                try await group.waitForAll()
            }
        }
    }

    private static func raceOnce(_ subject: ConformanceSubject) async throws {
        let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
        async let refreshed = subject.replica.refreshSession(id, tokens: Sample.tokens("second"))
        async let read = subject.replica.session(for: id)
        async let refreshedAgain = subject.store.refreshSession(id, tokens: Sample.tokens("third"))
        // A store that never waits would else be done with the logout before the others have begun.
        for _ in 0..<Int.random(in: 0...8) { await Task.yield() }
        try await subject.store.deleteSession(id)
        try expect(try await subject.store.session(for: id) == nil, "it is gone as soon as the logout is done")
        _ = try await (refreshed, read, refreshedAgain)
        for store in [subject.store, subject.replica] {
            try expect(try await store.session(for: id) == nil, "a refresh in flight did not bring it back")
        }
    }
}
