import Cloakroom

extension StoreConformance {
    static let userLimitChecks: [Check] = [
        directoryCheck("a login beyond the limit per user ends the oldest", policy: SessionPolicy(maximumPerUser: 2)) {
            store, replica in
            var ids: [SessionID] = []
            let other = try await store.createSession(tokens: Sample.tokens(), userInfo: user("joe"))
            for number in 0..<4 {
                if number > 0 { try await waitForNextSecond() }
                ids.append(try await replica.createSession(tokens: Sample.tokens(), userInfo: user("jane")))
                // Use makes no session younger.
                for id in ids.suffix(2) {
                    try expect(try await store.session(for: id) != nil, "the two newest live")
                }
                try await expectEnded(ids.dropLast(2), in: [store, replica])
                try expect(try await store.sessionCount(ofUser: "jane") == min(2, ids.count), "it counts the live ones")
            }
            try expect(try await store.session(for: other) != nil, "another user's is untouched")
        },
        directoryCheck(
            "200 logins of one user at once never leave more live than the limit",
            policy: SessionPolicy(maximumPerUser: 5)
        ) { store, replica in
            let other = try await store.createSession(tokens: Sample.tokens(), userInfo: user("joe"))
            var ids = try await withThrowingTaskGroup(of: SessionID.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let store = number.isMultiple(of: 2) ? store : replica
                        return try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for _ in 0..<6 {
                for reader in [store, replica] {
                    var live = 0
                    for id in ids where try await reader.session(for: id) != nil { live += 1 }
                    try expect(live == 5, "5 are live, not \(live)")
                    try expect(try await reader.sessions(ofUser: "jane").count == 5, "and 5 are listed")
                }
                let newest = try await replica.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
                try expect(try await store.session(for: newest) != nil, "a new login lives")
                ids.append(newest)
            }
            try expect(try await store.session(for: other) != nil, "another user's is untouched")
        },
        directoryCheck("ended sessions do not count towards the limit", policy: SessionPolicy(maximumPerUser: 2)) {
            store, replica in
            let first = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
            for _ in 0..<5 {
                let id = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
                try await replica.deleteSession(id)
            }
            try expect(try await store.session(for: first) != nil, "the one that was left alone lives")
        },
    ]
}
