import Cloakroom
import GRDB

import struct Foundation.Data

extension SQLiteSessionStore {
    private static let maximumRecordSize = 16_384
    /// How many logins may be under way at once.
    private static let maximumRecordCount = 10_000

    public func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try await write { db in
            try db.execute(literal: "DELETE FROM records WHERE key = \(key.blob)")
            try Self.insert(record, key: key, lifetime: lifetime, into: db)
        }
    }

    public func putRecordIfAbsent(_ record: [UInt8], key: String, lifetime: Duration) async throws -> Bool {
        try await write { db in
            let other: SQL = "SELECT 1 FROM records WHERE key = \(key.blob) AND ends > \(Milliseconds.now)"
            guard try SQLRequest<Int>(literal: other).fetchOne(db) == nil else { return false }
            try Self.insert(record, key: key, lifetime: lifetime, into: db)
            return true
        }
    }

    private static func insert(_ record: [UInt8], key: String, lifetime: Duration, into db: Database) throws {
        guard record.count <= maximumRecordSize else {
            throw SessionStoreError(.tooLarge, reason: "a one-time record may have \(maximumRecordSize) bytes")
        }
        let now = Milliseconds.now
        try db.execute(literal: "DELETE FROM records WHERE ends <= \(now)")
        let count = try Int.fetchOne(db, sql: "SELECT count(*) FROM records") ?? 0
        guard count < maximumRecordCount else {
            throw SessionStoreError(.full, reason: "there are \(count) one-time records")
        }
        try db.execute(
            literal: """
                INSERT INTO records (key, record, ends)
                VALUES (\(key.blob), \(Data(record)), \(now + lifetime.milliseconds))
                """)
    }

    public func readRecord(key: String) async throws -> [UInt8]? {
        try await read { db in
            let reading: SQL = "SELECT record FROM records WHERE key = \(key.blob) AND ends > \(Milliseconds.now)"
            let record = try SQLRequest<Data>(literal: reading).fetchOne(db)
            return record.map(Array.init)
        }
    }

    public func takeRecord(key: String) async throws -> [UInt8]? {
        try await write { db in
            // Read and removed by one statement, so that one caller alone gets it.
            let taking: SQL = "DELETE FROM records WHERE key = \(key.blob) RETURNING record, ends"
            guard let row = try SQLRequest<Row>(literal: taking).fetchAll(db).first, row["ends"] > Milliseconds.now
            else {
                return nil
            }
            let record: Data = row["record"]
            return Array(record)
        }
    }
}
