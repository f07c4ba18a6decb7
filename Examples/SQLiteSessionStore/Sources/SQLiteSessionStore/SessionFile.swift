import Foundation
import GRDB

/// The file: how it is opened and what is in it.
enum SessionFile {
    static func open(_ path: String, maximumSize: Int) throws -> DatabasePool {
        makePrivate(path)
        var configuration = Configuration()
        // Another store that shares the file may be writing: try again every millisecond, for five seconds.
        configuration.busyMode = .callback { tries in
            usleep(1000)
            return tries < 5000
        }
        configuration.prepareDatabase { db in
            // What was deleted is overwritten: an ended session leaves no tokens in the file.
            try db.execute(sql: "PRAGMA secure_delete = ON")
            let pageSize = try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 4096
            try db.execute(sql: "PRAGMA max_page_count = \(max(16, maximumSize / pageSize))")
        }
        let pool = try DatabasePool(path: path, configuration: configuration)
        // A pool asks for NORMAL, with which the last transactions may be lost in a power cut, a logout among them.
        try pool.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            guard try Int.fetchOne(db, sql: "PRAGMA synchronous") == 2 else {
                throw DatabaseError(resultCode: .SQLITE_MISUSE)
            }
        }
        try migrator.migrate(pool)
        return pool
    }

    /// Makes the file, readable by its owner alone; SQLite gives the files beside it the same mode.
    private static func makePrivate(_ path: String) {
        // Only a new file is opened here: to close one that SQLite has open would drop its locks.
        let descriptor = Foundation.open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        if descriptor >= 0 { _ = Foundation.close(descriptor) }
    }

    /// Names from outside are BLOBs, which are compared byte for byte; TEXT would end at a NUL. Times are milliseconds
    /// since 1970. `sequence` is never given twice.
    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    CREATE TABLE sessions (
                        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
                        name TEXT NOT NULL UNIQUE,
                        handle TEXT NOT NULL UNIQUE,
                        record BLOB NOT NULL,
                        summary BLOB NOT NULL,
                        issuer BLOB,
                        subject BLOB,
                        sid BLOB,
                        created INTEGER NOT NULL,
                        expires INTEGER NOT NULL,
                        last_use INTEGER NOT NULL,
                        lease_token TEXT,
                        lease_ends INTEGER NOT NULL DEFAULT 0
                    ) STRICT;
                    CREATE INDEX sessions_of_user ON sessions (issuer, subject) WHERE subject IS NOT NULL;
                    CREATE INDEX sessions_of_provider_session ON sessions (issuer, sid) WHERE sid IS NOT NULL;
                    CREATE INDEX sessions_by_end ON sessions (expires);
                    CREATE INDEX sessions_by_use ON sessions (last_use);
                    CREATE TABLE tombstones (handle TEXT PRIMARY KEY, ends INTEGER NOT NULL) STRICT, WITHOUT ROWID;
                    CREATE INDEX tombstones_by_end ON tombstones (ends);
                    CREATE TABLE records (key BLOB PRIMARY KEY, record BLOB NOT NULL, ends INTEGER NOT NULL) STRICT;
                    CREATE INDEX records_by_end ON records (ends);
                    """)
        }
        return migrator
    }
}

/// Milliseconds since 1970.
enum Milliseconds {
    static var now: Int64 { of(Date()) }

    static func of(_ date: Date) -> Int64 { Int64((date.timeIntervalSince1970 * 1000).rounded(.down)) }

    static func date(_ milliseconds: Int64) -> Date { Date(timeIntervalSince1970: Double(milliseconds) / 1000) }
}

extension Duration {
    /// Whole milliseconds; a hundred years at most, so that no sum with it can overflow.
    var milliseconds: Int64 {
        let bounded = max(.zero, min(self, .seconds(100 * 366 * 86_400)))
        return bounded.components.seconds * 1000 + bounded.components.attoseconds / 1_000_000_000_000_000
    }
}
