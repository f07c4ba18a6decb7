public import Cloakroom
import GRDB

extension SQLiteSessionStore {
    public func sessions(ofUser user: UserIdentity) async throws -> [SessionSummary] {
        try await newestFirst(rows.ofUser(user))
    }

    public func sessions(ofProviderSession session: ProviderSession) async throws -> [SessionSummary] {
        try await newestFirst(rows.ofProviderSession(session))
    }

    /// In the order in which they were stored; the cursor is the sequence of the last one shown.
    public func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        var sequence: Int64 = 0
        if let cursor {
            guard let parsed = Int64(cursor.text), parsed >= 0 else {
                throw SessionStoreError(.rejected, reason: "the cursor is not one of this store's")
            }
            sequence = parsed
        }
        let (after, limit) = (sequence, min(max(1, limit), 10_000))
        return try await read { db in
            let query: SQL = """
                SELECT * FROM sessions WHERE sequence > \(after) AND \(self.rows.live) ORDER BY sequence LIMIT \(limit)
                """
            let found = try SQLRequest<Row>(literal: query).fetchAll(db)
            var next: SessionPage.Cursor?
            if found.count == limit, let last: Int64 = found.last?["sequence"] {
                next = SessionPage.Cursor(String(last))
            }
            return SessionPage(sessions: found.compactMap(self.rows.summary), next: next)
        }
    }

    public func sessionCount() async throws -> Int {
        try await read { db in try self.rows.count(where: "TRUE", db) }
    }

    public func sessionCount(ofUser user: UserIdentity) async throws -> Int {
        try await read { db in try self.rows.count(where: self.rows.ofUser(user), db) }
    }

    public func deleteSession(_ handle: SessionHandle, ofUser user: UserIdentity?) async throws -> Bool {
        try await write { db in
            let isTheirs: SQL = user.map(self.rows.ofUser) ?? "TRUE"
            return try self.rows.delete(where: "handle = \(handle.description) AND \(isTheirs)", db) > 0
        }
    }

    public func deleteSessions(ofUser user: UserIdentity, except kept: SessionID?) async throws -> Int {
        try await write { db in
            let isOther: SQL = kept.map { "handle <> \($0.handle.description)" } ?? "TRUE"
            return try self.rows.delete(where: "\(self.rows.ofUser(user)) AND \(isOther)", db)
        }
    }

    public func deleteSessions(ofProviderSession session: ProviderSession) async throws -> Int {
        try await write { db in try self.rows.delete(where: self.rows.ofProviderSession(session), db) }
    }

    public func deleteAllSessions() async throws -> Int {
        try await write { db in try self.rows.delete(where: "TRUE", db) }
    }

    private func newestFirst(_ condition: SQL) async throws -> [SessionSummary] {
        try await read { db in
            let query: SQL = """
                SELECT * FROM sessions WHERE \(condition) AND \(self.rows.live) ORDER BY created DESC, sequence DESC
                """
            return try SQLRequest<Row>(literal: query).fetchAll(db).compactMap(self.rows.summary)
        }
    }
}
