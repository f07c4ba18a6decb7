public import Cloakroom
import GRDB

public import struct Foundation.Date

extension SQLiteSessionStore {
    public func insertSession(_ session: Session, for id: SessionID) async throws -> Bool {
        let session = session.withIssuer(policy.defaultIssuer)
        return try await write { db in
            let now = Milliseconds.now
            guard Milliseconds.of(session.expiresAt) > now else { return false }
            let handle = id.handle.description
            // One that has ended but was not yet removed counts too: it must not come back.
            let known: SQL = """
                SELECT EXISTS (SELECT 1 FROM sessions WHERE handle = \(handle))
                    OR EXISTS (SELECT 1 FROM tombstones WHERE handle = \(handle) AND ends > \(now))
                """
            guard try SQLRequest<Bool>(literal: known).fetchOne(db) == false else { return false }
            guard try self.rows.endOldest(db, toMakeRoomFor: session, mayBeOlder: true) else { return false }
            try self.rows.insert(session, id, db)
            return true
        }
    }

    public func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws {
        try await write { db in
            try self.rows.delete(id, db)
            // Of two tombstones the longer counts.
            try db.execute(
                literal: """
                    INSERT INTO tombstones (handle, ends) VALUES (\(id.handle.description), \(Milliseconds.of(end)))
                    ON CONFLICT (handle) DO UPDATE SET ends = max(ends, excluded.ends)
                    """)
        }
    }
}

extension Session {
    /// The same session; of this issuer, if it names none.
    fileprivate func withIssuer(_ defaultIssuer: String?) -> Session {
        guard issuer == nil, let defaultIssuer else { return self }
        return Session(
            tokens: tokens, userInfo: userInfo, createdAt: createdAt, expiresAt: expiresAt, refreshedAt: refreshedAt,
            issuer: defaultIssuer, providerSessionID: providerSessionID, client: client, attributes: attributes,
            otherFields: otherFields)
    }
}
