public import Cloakroom

/// The promises of `OneTimeRecordStore`.
public enum OneTimeRecordConformance {
    /// Puts a store to all of them.
    ///
    /// - Parameters:
    ///   - store: the store under test.
    ///   - replica: another instance over the same records, or the same store.
    /// - Throws: ``ConformanceFailure`` when the store breaks one, or what the store threw.
    public static func check(
        _ store: any OneTimeRecordStore, replica: any OneTimeRecordStore
    ) async throws {
        let key = SessionID().secret
        try expect(try await store.takeRecord(key: key) == nil, "an unknown record is not there")

        try expect(try await store.readRecord(key: key) == nil, "an unknown record can't be read")

        try await store.putRecord([0, 13, 10, 255], key: key, lifetime: .seconds(60))
        for reader in [replica, store, replica] {
            try expect(
                try await reader.readRecord(key: key) == [0, 13, 10, 255], "a record that is read is whole, and stays")
        }
        let taken = try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            for number in 0..<64 {
                group.addTask { try await (number.isMultiple(of: 2) ? store : replica).takeRecord(key: key) }
            }
            return try await group.reduce(into: [[UInt8]]()) { all, record in if let record { all.append(record) } }
        }
        try expect(taken == [[0, 13, 10, 255]], "of 64 that take a record, one gets it, and whole")
        try expect(try await replica.takeRecord(key: key) == nil, "a taken record is gone")
        try expect(try await replica.readRecord(key: key) == nil, "a taken record can't be read")

        let other = SessionID().secret
        let largest = (0..<16_384).map { UInt8(truncatingIfNeeded: $0) }
        try await store.putRecord(largest, key: other, lifetime: .seconds(600))
        try await store.putRecord([1], key: key, lifetime: .milliseconds(100))
        try await store.putRecord([2], key: key + "-short", lifetime: .zero)
        try await Task.sleep(for: .milliseconds(200))
        try expect(try await replica.readRecord(key: key) == nil, "a record whose time is over can't be read")
        try expect(try await replica.takeRecord(key: key) == nil, "a record whose time is over is gone")
        try expect(try await replica.takeRecord(key: key + "-short") == nil, "a record without a lifetime is gone")
        try expect(
            try await replica.takeRecord(key: other) == largest, "one of 16 KiB whose time is not over is there, whole")

        let claimed = SessionID().secret
        let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<64 {
                group.addTask {
                    try await (number.isMultiple(of: 2) ? store : replica).putRecordIfAbsent(
                        [UInt8(number)], key: claimed, lifetime: .seconds(60))
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        try expect(winners == 1, "of 64 that put a record where there must be none, one does")
        try expect(try await replica.takeRecord(key: claimed)?.count == 1, "what was put so can be taken")
        try expect(
            try await replica.putRecordIfAbsent([1], key: claimed, lifetime: .milliseconds(100)),
            "a key whose record was taken is free")
        try await waitUntil("a key whose record's time is over is free") {
            try await store.putRecordIfAbsent([2], key: claimed, lifetime: .seconds(60))
        }
        try expect(try await replica.takeRecord(key: claimed) == [2], "the new record is there")

        do {
            try await store.putRecord([UInt8](repeating: 0, count: 16_385), key: key, lifetime: .seconds(60))
            throw ConformanceFailure("a record over 16 KiB is refused")
        } catch let error as SessionStoreError {
            try expect(error.code == .tooLarge, "a record over 16 KiB is too large")
        }
    }
}
