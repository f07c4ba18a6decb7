import Synchronization

/// How many connections clients have: in all, and by address where that is limited.
final class ConnectionCounts: Sendable {
    let limit: Int
    private let perAddress: Int?
    private let count = Atomic<Int>(0)
    private let addresses = Mutex<[String: Int]>([:])

    init(limit: Int, perAddress: Int?) {
        self.limit = limit
        self.perAddress = perAddress
    }

    /// How many there are.
    var current: Int { count.load(ordering: .relaxed) }

    /// Whether so many are taken that idle ones must go soon, as others will need their places.
    var isCrowded: Bool { count.load(ordering: .relaxed) > limit / 4 * 3 }

    /// Counts one more connection.
    ///
    /// - Returns: the limit that it would pass, and then it was not counted; `nil` when there may be one more.
    func add(_ address: String?) -> RefusingLimit? {
        guard count.add(1, ordering: .relaxed).newValue <= limit else {
            count.subtract(1, ordering: .relaxed)
            return .connections
        }
        guard let perAddress, let address else { return nil }
        let isWithin = addresses.withLock { addresses in
            guard addresses[address, default: 0] < perAddress else { return false }
            addresses[address, default: 0] += 1
            return true
        }
        if !isWithin { count.subtract(1, ordering: .relaxed) }
        return isWithin ? nil : .connectionsPerAddress
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
