import Synchronization

/// How many connections clients have: in all, and by address where that is limited.
final class ConnectionCounts: Sendable {
    private let limit: Int
    private let perAddress: Int?
    private let count = Atomic<Int>(0)
    private let addresses = Mutex<[String: Int]>([:])

    init(limit: Int, perAddress: Int?) {
        self.limit = limit
        self.perAddress = perAddress
    }

    /// Whether so many are taken that idle ones must go soon, as others will need their places.
    var isCrowded: Bool { count.load(ordering: .relaxed) > limit / 4 * 3 }

    /// Counts one more connection.
    ///
    /// - Returns: `false` when there may not be one more, and then it was not counted.
    func add(_ address: String?) -> Bool {
        guard count.add(1, ordering: .relaxed).newValue <= limit else {
            count.subtract(1, ordering: .relaxed)
            return false
        }
        guard let perAddress, let address else { return true }
        let isWithin = addresses.withLock { addresses in
            guard addresses[address, default: 0] < perAddress else { return false }
            addresses[address, default: 0] += 1
            return true
        }
        if !isWithin { count.subtract(1, ordering: .relaxed) }
        return isWithin
    }

    /// Counts one less.
    func remove(_ address: String?) {
        count.subtract(1, ordering: .relaxed)
        guard perAddress != nil, let address else { return }
        addresses.withLock { addresses in
            let left = addresses[address, default: 1] - 1
            addresses[address] = left > 0 ? left : nil
        }
    }
}
