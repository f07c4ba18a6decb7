import Synchronization

import struct Foundation.Date

/// One-time records in memory, bounded in number.
final class InMemoryOneTimeRecords: Sendable {
    private struct Entry {
        let record: [UInt8]
        let deadline: Date
    }

    private let maximumCount: Int
    private let entries = Mutex<[String: Entry]>([:])

    init(maximumCount: Int) { self.maximumCount = maximumCount }

    /// - Parameter ifAbsent: leave a record alone that is there already.
    /// - Returns: whether this record is kept.
    @discardableResult
    func put(
        _ record: [UInt8], key: String, lifetime: Duration, ifAbsent: Bool = false, now: Date
    ) throws(SessionStoreError) -> Bool {
        try OneTimeRecords.checkSize(record)
        let entry = Entry(record: record, deadline: now.addingTimeInterval(lifetime / .seconds(1)))
        let isKept = entries.withLock { entries -> Bool? in
            if ifAbsent, let other = entries[key], other.deadline > now { return false }
            if entries.count >= maximumCount, entries[key] == nil {
                entries = entries.filter { $0.value.deadline > now }
                guard entries.count < maximumCount else { return nil }
            }
            entries[key] = entry
            return true
        }
        guard let isKept else {
            throw SessionStoreError(.full, reason: "the in-memory store holds \(maximumCount) one-time records")
        }
        return isKept
    }

    func read(key: String, now: Date) -> [UInt8]? {
        guard let entry = entries.withLock({ $0[key] }), entry.deadline > now else { return nil }
        return entry.record
    }

    func take(key: String, now: Date) -> [UInt8]? {
        guard let entry = entries.withLock({ $0.removeValue(forKey: key) }), entry.deadline > now else { return nil }
        return entry.record
    }

    /// The keys of the records that can be taken, and how long still.
    func live(now: Date) -> [(key: String, lifetime: Duration)] {
        entries.withLock { entries in
            entries.compactMap { key, entry in
                let left = entry.deadline.timeIntervalSince(now)
                return left > 0 ? (key, .seconds(left)) : nil
            }
        }
    }

    func dropExpired(now: Date) {
        entries.withLock { entries in entries = entries.filter { $0.value.deadline > now } }
    }
}

/// What all one-time record stores hold to.
package enum OneTimeRecords {
    /// The largest record, in bytes.
    package static let maximumSize = 16_384

    package static func checkSize(_ record: [UInt8]) throws(SessionStoreError) {
        guard record.count <= maximumSize else {
            throw SessionStoreError(.tooLarge, reason: "a one-time record may have \(maximumSize) bytes")
        }
    }
}
