import Cloakroom

import struct Foundation.Date

extension StoreConformance {
    static let refreshChecks: [Check] = [
        Check("a refresh replaces the tokens and nothing else") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let before = try await subject.store.session(for: id)
            let start = Date().addingTimeInterval(-1.5)
            let answer = try await subject.store.refreshSession(id, tokens: Sample.tokens("second"))
            for session in [answer, try await subject.replica.session(for: id)] {
                try expect(session?.tokens == Sample.tokens("second"), "the tokens are the new ones")
                try expect(session?.userInfo == Sample.userInfo, "the user info is as before")
                try expect(session?.createdAt == before?.createdAt, "created_at is as before")
                try expect(session?.expiresAt == before?.expiresAt, "R18: expires_at is as before")
                try expect(
                    session?.refreshedAt.map { $0 >= start && $0 <= Date() } == true, "the time of the refresh is noted"
                )
            }
            let read = try await subject.replica.session(for: id)
            try expect(answer == read, "the answer is what is then read")
        },
        Check("members of the tokens that the store does not know survive a refresh") { subject in
            var tokens = Sample.tokens()
            tokens.otherFields = ["scope": "openid", "session_state": "s", "limits": ["deep": [1, .null]]]
            let id = try await subject.store.createSession(tokens: tokens, userInfo: Sample.userInfo)
            var newer = Sample.tokens("second")
            newer.otherFields = ["scope": "openid email", "new": true]
            _ = try await subject.store.refreshSession(id, tokens: newer)
            newer.otherFields["session_state"] = "s"
            newer.otherFields["limits"] = ["deep": [1, .null]]
            try expect(
                try await subject.replica.session(for: id)?.tokens == newer, "old ones stay, new ones are added")
        },
        Check("R22: a refresh without a refresh token or ID token keeps the old ones") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            _ = try await subject.store.refreshSession(id, tokens: TokenSet(accessToken: "new", expiresIn: 60))
            let tokens = try await subject.replica.session(for: id)?.tokens
            try expect(tokens?.accessToken == "new" && tokens?.expiresIn == 60, "what was given is new")
            try expect(tokens?.refreshToken == "refresh-first", "the refresh token stays")
            try expect(tokens?.idToken == "id-first", "the ID token stays")
            try expect(tokens?.refreshExpiresIn == 1800, "the refresh token's life stays")
        },
        Check("R30: a refresh of an unknown or deleted session answers nil and makes none") { subject in
            let unknown = SessionID()
            try expect(
                try await subject.store.refreshSession(unknown, tokens: Sample.tokens()) == nil, "unknown: nil")
            try expect(try await subject.store.session(for: unknown) == nil, "unknown: still no session")
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            try await subject.store.deleteSession(id)
            try expect(
                try await subject.replica.refreshSession(id, tokens: Sample.tokens("late")) == nil, "deleted: nil")
            try expect(try await subject.store.session(for: id) == nil, "deleted: still no session")
        },
        Check("concurrent refreshes leave one whole set of tokens") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<16 {
                    group.addTask {
                        let store = number.isMultiple(of: 2) ? subject.store : subject.replica
                        let session = try await store.refreshSession(id, tokens: Sample.tokens("\(number)"))
                        try expect(session?.tokens == Sample.tokens("\(number)"), "each refresh answers its own tokens")
                    }
                }
                try await group.waitForAll()
            }
            let tokens = try await subject.store.session(for: id)?.tokens
            try expect(
                (0..<16).contains { Sample.tokens("\($0)") == tokens }, "what remains is one of the sets, not a mixture"
            )
        },
    ]
}
