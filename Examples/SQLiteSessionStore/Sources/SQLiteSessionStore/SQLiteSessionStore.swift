public import Cloakroom
import GRDB
public import Logging
public import ServiceLifecycle

import struct Foundation.Date

/// Sessions in one SQLite file, for an app on one machine: they survive a restart, a crash and a power cut.
///
/// Several stores, in one process or in several, may share the file if they have the same policy and codec; each then acts
/// as a replica. The file must be on a local disk: SQLite's write-ahead log does not work over a network file system.
///
/// Run it in your `ServiceGroup`: ``run()`` removes what has ended by itself.
public final class SQLiteSessionStore: FullSessionStore, Service {
    let pool: DatabasePool
    let rows: SessionRows
    let policy: SessionPolicy
    private let logger: Logger

    /// Opens the file, or makes one that only this user can read.
    ///
    /// - Parameters:
    ///   - path: the file. SQLite keeps two more beside it, `-wal` and `-shm`.
    ///   - policy: how long sessions live, and how many a user may have.
    ///   - codec: how sessions are written; with a keyring they are sealed, so that the file alone opens none.
    ///   - maximumSize: how large the file may become, in bytes; what would need more is refused with
    ///     ``SessionStoreError/Code/full``.
    /// - Throws: ``SessionStoreError``
    public init(
        path: String, policy: SessionPolicy = SessionPolicy(), codec: RecordCodec = RecordCodec(),
        maximumSize: Int = 4 << 30, logger: Logger
    ) throws {
        self.policy = policy
        self.logger = logger
        self.rows = SessionRows(policy: policy, codec: codec, logger: logger)
        do {
            self.pool = try SessionFile.open(path, maximumSize: maximumSize)
        } catch let error as DatabaseError {
            throw SessionStoreError(error)
        }
    }

    /// Closes the file. The store then answers every call with an error.
    public func close() throws {
        // Brings the log into the file, so that nothing that was overwritten or deleted stays in either. While another
        // store has the file open it may not be possible; that one does it then.
        _ = try? pool.writeWithoutTransaction { db in try db.checkpoint(.truncate) }
        try pool.close()
    }

    /// Removes what has ended by itself, every half minute, until the service is asked to stop.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            // Being asked to stop is no error.
            while (try? await Task.sleep(for: .seconds(30))) != nil {
                do {
                    try await self.removeEnded()
                } catch {
                    self.logger.warning("ended sessions could not be removed", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    /// Removes all that has ended by itself, a part at a time, so that others get their turn to write.
    public func removeEnded() async throws {
        while try await write({ db in try self.rows.removeEnded(db, limit: 1000) }) {}
    }

    // MARK: SessionStore

    public func createSession(_ new: NewSession) async throws -> SessionID {
        let id = SessionID()
        try await write { db in
            // It begins when it is its turn to be stored: the wait for that takes nothing from its life.
            let session = try Session(beginningAt: Date(), policy: self.policy, new)
            try self.rows.endOldest(db, toMakeRoomFor: session)
            try self.rows.insert(session, id, db)
        }
        return id
    }

    public func session(for id: SessionID) async throws -> Session? {
        guard let found = try await read({ db in try self.rows.live(id, db) }) else { return nil }
        let now = Milliseconds.now
        guard let interval = policy.touchInterval, now - found.lastUse >= interval.milliseconds else {
            return found.session
        }
        // The session may have ended since it was read; then this notes nothing.
        return try await write { db in try self.rows.noteUse(of: found, db) } ? found.session : nil
    }

    public func deleteSession(_ id: SessionID) async throws {
        try await write { db in try self.rows.delete(id, db) }
    }

    public func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        try await write { db in
            guard let found = try self.rows.live(id, db) else { return .absent }
            guard found.session.tokens == tokens else { return .changed(found.session) }
            try self.rows.delete(id, db)
            return .ended
        }
    }

    public func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        // There is one writer at a time, so nothing comes between reading and writing, and what throws rolls back.
        try await write { db in
            guard let found = try self.rows.live(id, db) else { return nil }
            var attributes = found.session.attributes
            try change(&attributes)
            let updated = try found.session.updated(with: attributes)
            try self.rows.replace(found, by: updated, id, db)
            return updated
        }
    }

    public func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        try await write { db in
            guard let found = try self.rows.live(id, db) else { return nil }
            let refreshed = found.session.refreshed(with: tokens, at: Date())
            try self.rows.replace(found, by: refreshed, id, db)
            return refreshed
        }
    }

    public func ping() async throws {
        try await read { db in try db.execute(sql: "SELECT 1 FROM sessions LIMIT 1") }
    }

    // MARK: Access for all roles

    /// Reads what was committed last.
    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        do {
            return try await pool.read(body)
        } catch let error as DatabaseError {
            throw SessionStoreError(error)
        }
    }

    /// Does all of `body` in one transaction (`BEGIN IMMEDIATE`), or nothing. It is on the disk when this returns.
    func write<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        do {
            return try await pool.write(body)
        } catch let error as DatabaseError {
            throw SessionStoreError(error)
        }
    }
}

extension SessionStoreError {
    /// SQLite's own text, without the statement and its values.
    init(_ error: DatabaseError) {
        let code: Code =
            switch error.resultCode {
            case .SQLITE_FULL: .full
            case .SQLITE_TOOBIG: .tooLarge
            case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH, .SQLITE_NOTADB: .rejected
            default: .unavailable
            }
        // A transaction that never got its turn has changed nothing. Of one that failed on the disk nobody knows.
        let isKnown = code == .unavailable && error.resultCode == .SQLITE_BUSY ? true : nil
        self.init(code, reason: "SQLite: \(error.resultCode)", isOutcomeKnown: isKnown)
    }
}
