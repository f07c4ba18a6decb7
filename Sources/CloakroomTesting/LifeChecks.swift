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
        Check("R17: an ID has 128 random bits at least") { subject in
            var distinct: [Set<UInt8>] = []
            for _ in 0..<200 {
                let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
                for (place, byte) in id.secret.utf8.enumerated() {
                    if place == distinct.count { distinct.append([]) }
                    distinct[place].insert(byte)
                }
            }
            // What 200 IDs show in a place is at most what is random there: 4 bits for a hex digit, 5 of base64url's 6.
            let bits = distinct.reduce(0) { $0 + Int.bitWidth - 1 - $1.count.leadingZeroBitCount }
            try expect(bits >= 128, "200 IDs differ in 128 bits and more, not in \(bits)")
        },
        Check("an ID that differs in one character or in case is another") { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let last = id.secret.hasSuffix("A") ? "B" : "A"
            let others = [
                id.secret.lowercased(), id.secret.uppercased(), String(id.secret.dropLast()) + last, id.secret + last,
                String(id.secret.dropLast()),
            ]
            for other in others.filter({ $0 != id.secret }).compactMap({ SessionID($0) }) {
                try expect(try await subject.replica.session(for: other) == nil, "a similar ID opens nothing")
                try expect(
                    try await subject.replica.refreshSession(other, tokens: Sample.tokens("other")) == nil,
                    "a similar ID refreshes nothing")
                try await subject.replica.deleteSession(other)
            }
            try expect(
                try await subject.store.session(for: id)?.tokens == Sample.tokens(), "the session is as it was")
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
            try expect(
                try await subject.store.session(for: other)?.tokens == Sample.tokens("other"), "others are untouched")
        },
        Check("R20: a replica that has read a session sees its refresh and its end") { subject in
            for (writer, reader) in [(subject.store, subject.replica), (subject.replica, subject.store)] {
                let id = try await writer.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
                try expect(try await reader.session(for: id)?.tokens == Sample.tokens(), "it is read")
                // The news may take a moment to reach a cache.
                _ = try await writer.refreshSession(id, tokens: Sample.tokens("second"))
                try await waitUntil("the reader sees the new tokens", within: .seconds(1)) {
                    try await reader.session(for: id)?.tokens == Sample.tokens("second")
                }
                try await writer.deleteSession(id)
                try await waitUntil("the reader sees that it is gone", within: .seconds(1)) {
                    try await reader.session(for: id) == nil
                }
            }
        },
    ]
}
