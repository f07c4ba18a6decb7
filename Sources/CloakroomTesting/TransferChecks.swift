import Cloakroom

import struct Foundation.Date

extension StoreConformance {
    /// The checks for stores that are a `SessionTransfer`.
    public static let transferChecks: [Check] = [
        transferCheck("a session is taken over under its ID, as it was, for every replica") { store, replica in
            guard let foreign = SessionID("0b1f7a52-9d0e-4e55-9a57-0f6a1d1f9a11") else {
                throw ConformanceFailure("a UUID is an ID")
            }
            for id in [SessionID(), foreign] {
                let session = sample().refreshed(with: Sample.tokens("second"), at: Date())
                try expect(try await store.insertSession(session, for: id), "it is taken over")
                for reader in [store, replica] {
                    try expect(try await reader.session(for: id) == session, "it is the same session")
                }
                let refreshed = try await replica.refreshSession(id, tokens: Sample.tokens("third"))
                try expect(refreshed?.expiresAt == session.expiresAt, "its end stays when it is refreshed")
                if let directory = replica as? any SessionDirectory {
                    let listed = try await directory.sessions(ofUser: "248289761001")
                    try expect(listed.contains { $0.handle == id.handle }, "it is listed")
                }
            }
        },
        transferCheck("a session that is there already is not taken over again") { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let before = try await store.session(for: id)
            try expect(try await replica.insertSession(sample("other"), for: id) == false, "it is there already")
            try expect(try await store.session(for: id) == before, "it is as it was")
        },
        transferCheck("a session that is over is not taken over") { store, replica in
            let id = SessionID()
            let session = sample(createdAt: Date().addingTimeInterval(-100), lifetime: 99)
            try expect(try await store.insertSession(session, for: id) == false, "it is over")
            try expect(try await replica.session(for: id) == nil, "and so is not there")
        },
        transferCheck("of 100 that take a session over at once, one does") { store, replica in
            let id = SessionID()
            let session = sample()
            let taken = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        try await (number.isMultiple(of: 2) ? store : replica).insertSession(session, for: id)
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            try expect(taken == 1, "one has, not \(taken)")
        },
        transferCheck("an ended session that has a tombstone is not taken over, by any replica") { store, replica in
            let end = Date().addingTimeInterval(60)
            let live = try await store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            for id in [live, SessionID()] {
                try await replica.deleteSession(id, tombstoneUntil: end)
                for store in [store, replica] {
                    try expect(try await store.session(for: id) == nil, "it has ended")
                    try expect(try await store.insertSession(sample(), for: id) == false, "it is not taken over")
                    try expect(
                        try await store.refreshSession(id, tokens: Sample.tokens("late")) == nil, "nor refreshed")
                    try await store.deleteSession(id)
                    try expect(try await store.insertSession(sample(), for: id) == false, "ending it again is no way")
                }
            }
            if let directory = store as? any SessionDirectory {
                try expect(try await directory.sessionCount() == 0, "a tombstone is no session")
                try expect(try await directory.sessions(after: nil, limit: 100).sessions.isEmpty, "and is not listed")
            }
        },
        transferCheck("a tombstone ends when it was said to, and not earlier") { store, replica in
            let (brief, long) = (SessionID(), SessionID())
            let end = Date().addingTimeInterval(1.5)
            try await store.deleteSession(brief, tombstoneUntil: end)
            try await store.deleteSession(long, tombstoneUntil: end.addingTimeInterval(600))
            try await replica.deleteSession(long, tombstoneUntil: end)
            try await waitUntil("it ends") {
                guard try await replica.insertSession(sample(), for: brief) else { return false }
                // Servers' clocks and ours may differ a little.
                try expect(Date() >= end.addingTimeInterval(-0.1), "it is not taken over before")
                return true
            }
            try expect(try await store.session(for: brief) != nil, "then it is taken over")
            try expect(try await store.insertSession(sample(), for: long) == false, "the longer of two counts")
        },
        transferCheck("R30: of many races of logout against taking over, none revives the session") { store, replica in
            let end = Date().addingTimeInterval(600)
            for start in stride(from: 0, to: rounds(2000), by: 50) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in start..<(start + 50) {
                        group.addTask {
                            let id = SessionID()
                            async let first = replica.insertSession(sample(), for: id)
                            async let second = store.insertSession(sample(), for: id)
                            for _ in 0..<Int.random(in: 0...8) { await Task.yield() }
                            let ender = number.isMultiple(of: 2) ? store : replica
                            try await ender.deleteSession(id, tombstoneUntil: end)
                            try expect(try await store.session(for: id) == nil, "it is gone as soon as that is done")
                            _ = try await (first, second)
                            try await expectEnded([id], in: [store, replica])
                        }
                    }
                    try await group.waitForAll()
                }
            }
        },
    ]

    private static func transferCheck(
        _ description: String,
        _ body: @escaping @Sendable (_ store: any SessionTransfer, _ replica: any SessionTransfer) async throws -> Void
    ) -> Check {
        Check(
            description, policy: SessionPolicy(), role: "SessionTransfer",
            { subject -> (store: any SessionTransfer, replica: any SessionTransfer)? in
                guard let store = subject.transfer, let replica = subject.replica as? any SessionTransfer else {
                    return nil
                }
                return (store, replica)
            }, body)
    }

    /// A session of another store.
    static func sample(
        _ name: String = "first", createdAt: Date = Date().addingTimeInterval(-100), lifetime: Double = 3600
    ) -> Session {
        Session(
            tokens: Sample.tokens(name), userInfo: Sample.userInfo, createdAt: createdAt,
            expiresAt: createdAt.addingTimeInterval(lifetime), otherFields: ["cart": [1, "two"]])
    }
}
