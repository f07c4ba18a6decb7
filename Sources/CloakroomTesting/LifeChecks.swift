import Cloakroom

import struct Foundation.Date

extension StoreConformance {
    static let lifeChecks: [Check] = [
        Check("ping succeeds") { subject in
            try await subject.store.ping()
        },
        Check("a created session is read back as it was, by any replica") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            for store in [subject.store, subject.replica] {
                let session = try await store.session(for: id)
                try expect(session?.tokens == Sample.tokens(), "the tokens are those of the login")
                try expect(session?.userInfo == Sample.userInfo, "the user info is that of the login")
                try expect(session?.refreshedAt == nil, "a new session was not refreshed")
            }
        },
        Check("a session's times follow the policy", policy: SessionPolicy(absoluteLifetime: .seconds(1234))) {
            subject in
            let before = Date().addingTimeInterval(-1.5)
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            guard let session = try await subject.store.session(for: id) else {
                throw ConformanceFailure("the session is there")
            }
            try expect(session.createdAt >= before && session.createdAt <= Date(), "created_at is now")
            try expect(session.expiresAt.timeIntervalSince(session.createdAt) == 1234, "expires_at is 1234 s later")
        },
        Check("absent optional tokens stay absent") { subject in
            let tokens = TokenSet(accessToken: "only")
            let id = try await subject.store.createSession(tokens: tokens, userInfo: UserInfo(subject: "s"))
            try expect(try await subject.replica.session(for: id)?.tokens == tokens, "only the access token is there")
        },
        Check("a session of 300 KB is kept whole") { subject in
            let tokens = TokenSet(accessToken: String(repeating: "a", count: 300_000))
            let id = try await subject.store.createSession(tokens: tokens, userInfo: Sample.userInfo)
            try expect(try await subject.replica.session(for: id)?.tokens == tokens, "the long token is whole")
        },
        Check("an unknown ID has no session") { subject in
            try expect(try await subject.store.session(for: SessionID()) == nil, "a new ID has no session")
            guard let id = SessionID("00000000-0000-4000-8000-000000000000") else {
                throw ConformanceFailure("a UUID is an ID")
            }
            try expect(try await subject.store.session(for: id) == nil, "a foreign ID has no session")
        },
        Check("R17: IDs differ, and one opens no other session") { subject in
            var ids: Set<SessionID> = []
            for number in 0..<200 {
                ids.insert(
                    try await subject.store.createSession(
                        tokens: Sample.tokens("\(number)"), userInfo: UserInfo(subject: "\(number)")))
            }
            try expect(ids.count == 200, "200 sessions have 200 IDs")
            for id in ids {
                let session = try await subject.replica.session(for: id)
                try expect(
                    session?.userInfo.subject.map { "access-\($0)" } == session?.tokens.accessToken,
                    "each session has its own tokens and user")
            }
        },
        Check("a deleted session is gone for every replica, and deleting again is no error") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let other = try await subject.store.createSession(tokens: Sample.tokens("other"), userInfo: Sample.userInfo)
            try await subject.replica.deleteSession(id)
            try expect(try await subject.store.session(for: id) == nil, "it is gone here")
            try expect(try await subject.replica.session(for: id) == nil, "it is gone there")
            try await subject.store.deleteSession(id)
            try await subject.store.deleteSession(SessionID())
            try expect(try await subject.store.session(for: other) != nil, "others are untouched")
        },
    ]
}
