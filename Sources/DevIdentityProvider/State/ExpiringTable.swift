#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Records under random keys that vanish when their time is over, never more than a fixed number.
struct ExpiringTable<Value> {
    private struct Entry {
        var value: Value
        var expires: Date
    }

    private let capacity: Int
    private var entries: [String: Entry] = [:]
    private var insertsUntilSweep = Self.sweepInterval
    private static var sweepInterval: Int { 128 }

    init(capacity: Int) {
        self.capacity = capacity
    }

    var count: Int { entries.count }

    /// The record, unless its time is over.
    func value(_ key: String, now: Date) -> Value? {
        entries[key].flatMap { $0.expires > now ? $0.value : nil }
    }

    /// Adds or replaces a record. When the table is full, the record that would end first makes room.
    mutating func set(_ key: String, _ value: Value, expires: Date, now: Date) {
        insertsUntilSweep -= 1
        if insertsUntilSweep <= 0 || entries.count >= capacity {
            insertsUntilSweep = Self.sweepInterval
            entries = entries.filter { $0.value.expires > now }
        }
        if entries.count >= capacity, entries[key] == nil,
            let first = entries.min(by: { $0.value.expires < $1.value.expires })
        {
            entries[first.key] = nil
        }
        entries[key] = Entry(value: value, expires: expires)
    }

    mutating func remove(_ key: String) {
        entries[key] = nil
    }

    /// The records of this kind.
    func values(where isWanted: (Value) -> Bool) -> [Value] {
        entries.values.map(\.value).filter(isWanted)
    }

    mutating func removeAll(where isDoomed: (Value) -> Bool) {
        entries = entries.filter { !isDoomed($0.value.value) }
    }
}
