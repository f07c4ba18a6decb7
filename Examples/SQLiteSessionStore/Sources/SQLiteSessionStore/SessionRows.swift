import Cloakroom
import GRDB
import Logging

import struct Foundation.Data

/// A session as it stands in its row.
struct StoredSession: Sendable {
    let sequence: Int64
    let session: Session
    let lastUse: Int64
    let leaseToken: String?
    let leaseEnds: Int64
}

/// What is done to the rows of sessions. Each function is a part of a transaction of its caller.
struct SessionRows: Sendable {
    let policy: SessionPolicy
    let codec: RecordCodec
    let logger: Logger

    /// A condition that holds for live sessions, with its arguments. With an idle limit, a use long ago is an end too.
    var live: SQL {
        let now = Milliseconds.now
        let idleSince = policy.idleTimeout.map { now - $0.milliseconds } ?? Int64.min
        return "(expires > \(now) AND last_use > \(idleSince))"
    }

    /// The condition for the user's sessions. `IS` also finds those of no issuer.
    func ofUser(_ user: UserIdentity) -> SQL {
        "(issuer IS \((user.issuer ?? policy.defaultIssuer).blob) AND subject = \(user.subject.blob))"
    }

    func ofProviderSession(_ session: ProviderSession) -> SQL {
        "(issuer IS \((session.issuer ?? policy.defaultIssuer).blob) AND sid = \(session.sid.blob))"
    }

    // MARK: One session

    func live(_ id: SessionID, _ db: Database) throws -> StoredSession? {
        // A codec with a keyring may find a session under two names.
        let names = codec.names(for: id).map(\.text)
        let query: SQL = "SELECT * FROM sessions WHERE name IN \(names) AND \(live)"
        guard let row = try SQLRequest<Row>(literal: query).fetchOne(db), let session = session(in: row, id) else {
            return nil
        }
        return StoredSession(
            sequence: row["sequence"], session: session, lastUse: row["last_use"], leaseToken: row["lease_token"],
            leaseEnds: row["lease_ends"])
    }

    func insert(_ session: Session, _ id: SessionID, _ db: Database) throws {
        let name = codec.name(for: id)
        let record = Data(try codec.encode(session, id: id, key: name.text))
        let summary = Data(codec.encodeSummary(session, name: name))
        try db.execute(
            literal: """
                INSERT INTO sessions
                (name, handle, record, summary, issuer, subject, sid, created, expires, last_use) VALUES (
                    \(name.text), \(id.handle.description), \(record), \(summary), \(session.issuer.blob),
                    \(session.userInfo.subject.blob), \(session.providerSessionID.blob),
                    \(Milliseconds.of(session.createdAt)), \(Milliseconds.of(session.expiresAt)), \(Milliseconds.now))
                """)
    }

    /// Writes what a session has become. Neither its end nor its last use changes.
    func replace(_ stored: StoredSession, by session: Session, _ id: SessionID, _ db: Database) throws {
        // The name too: a session that was plain becomes sealed when the codec seals.
        let name = codec.name(for: id)
        let record = Data(try codec.encode(session, id: id, key: name.text))
        let summary = Data(codec.encodeSummary(session, name: name))
        try db.execute(
            literal: """
                UPDATE sessions SET name = \(name.text), record = \(record), summary = \(summary)
                WHERE sequence = \(stored.sequence)
                """)
    }

    /// - Returns: whether the session was still live.
    func noteUse(of stored: StoredSession, _ db: Database) throws -> Bool {
        try db.execute(
            literal: """
                UPDATE sessions SET last_use = max(last_use, \(Milliseconds.now))
                WHERE sequence = \(stored.sequence) AND \(live)
                """)
        return db.changesCount > 0
    }

    func delete(_ id: SessionID, _ db: Database) throws {
        try db.execute(literal: "DELETE FROM sessions WHERE handle = \(id.handle.description)")
    }

    // MARK: Many

    /// Ends the oldest of the user's sessions, so that one more keeps within the limit.
    ///
    /// - Parameter mayBeOlder: whether the one more may itself be too old to be kept.
    /// - Returns: `false` when it is, and then nothing has ended.
    @discardableResult
    func endOldest(_ db: Database, toMakeRoomFor session: Session, mayBeOlder: Bool = false) throws -> Bool {
        guard let maximum = policy.maximumPerUser, let user = session.user else { return true }
        let query: SQL = """
            SELECT sequence, created FROM sessions WHERE \(ofUser(user)) AND \(live) ORDER BY created, sequence
            """
        let others = try SQLRequest<Row>(literal: query).fetchAll(db)
        let excess = others.count + 1 - maximum
        guard excess > 0 else { return true }
        if mayBeOlder, Milliseconds.of(session.createdAt) < others[excess - 1]["created"] { return false }
        for row in others.prefix(excess) {
            let sequence: Int64 = row["sequence"]
            try db.execute(literal: "DELETE FROM sessions WHERE sequence = \(sequence)")
        }
        return true
    }

    /// Ends the sessions for which a condition holds.
    ///
    /// - Returns: how many of them were live.
    func delete(where condition: SQL, _ db: Database) throws -> Int {
        let count = try count(where: condition, db)
        try db.execute(literal: "DELETE FROM sessions WHERE \(condition)")
        return count
    }

    func count(where condition: SQL, _ db: Database) throws -> Int {
        let query: SQL = "SELECT count(*) FROM sessions WHERE \(condition) AND \(live)"
        return try SQLRequest<Int>(literal: query).fetchOne(db) ?? 0
    }

    /// - Returns: whether there may be more.
    func removeEnded(_ db: Database, limit: Int) throws -> Bool {
        let now = Milliseconds.now
        let idleSince = policy.idleTimeout.map { now - $0.milliseconds } ?? Int64.min
        var removed: [Int] = []
        for statement: SQL in [
            """
            DELETE FROM sessions WHERE sequence IN
            (SELECT sequence FROM sessions WHERE expires <= \(now) OR last_use <= \(idleSince) LIMIT \(limit))
            """,
            """
            DELETE FROM tombstones WHERE handle IN
            (SELECT handle FROM tombstones WHERE ends <= \(now) LIMIT \(limit))
            """,
            "DELETE FROM records WHERE key IN (SELECT key FROM records WHERE ends <= \(now) LIMIT \(limit))",
        ] {
            try db.execute(literal: statement)
            removed.append(db.changesCount)
        }
        return removed.contains { $0 >= limit }
    }

    // MARK: What is in a row

    private func session(in row: Row, _ id: SessionID) -> Session? {
        let record: Data = row["record"]
        do {
            guard case .session(let session) = try codec.decode(Array(record), id: id, key: row["name"]) else {
                return nil
            }
            // The record is what is sealed; a row that promises a longer life does not count.
            return Milliseconds.of(session.expiresAt) > Milliseconds.now ? session : nil
        } catch {
            logger.warning(
                "a stored session can't be read", metadata: ["session": "\(id.handle)", "error": "\(error)"])
            return nil
        }
    }

    func summary(in row: Row) -> SessionSummary? {
        guard let name = RecordName(row["name"]) else { return nil }
        let lastUse = policy.idleTimeout == nil ? nil : Milliseconds.date(row["last_use"])
        if let id = name.id {
            return session(in: row, id).map { SessionSummary(of: $0, handle: name.handle, lastSeenAt: lastUse) }
        }
        let summary: Data = row["summary"]
        do {
            return try codec.decodeSummary(Array(summary), name: name, lastSeenAt: lastUse)
        } catch {
            logger.warning(
                "a stored session's summary can't be read",
                metadata: ["session": "\(name.handle)", "error": "\(error)"])
            return nil
        }
    }
}

extension String {
    /// The bytes as SQLite compares them: all of them, one by one.
    var blob: Data { Data(utf8) }
}

extension String? {
    var blob: Data? { map { Data($0.utf8) } }
}
