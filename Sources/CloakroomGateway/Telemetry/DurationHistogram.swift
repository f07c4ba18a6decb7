/// How often something took how long, in buckets that are the same for all durations.
struct DurationHistogram: Sendable, Equatable {
    /// The upper bounds of the buckets in nanoseconds, and as the metrics page writes them, in seconds.
    static let bounds: [(nanoseconds: Int64, text: String)] = [
        (500_000, "0.0005"), (1_000_000, "0.001"), (2_500_000, "0.0025"), (5_000_000, "0.005"), (10_000_000, "0.01"),
        (25_000_000, "0.025"), (50_000_000, "0.05"), (100_000_000, "0.1"), (250_000_000, "0.25"),
        (500_000_000, "0.5"), (1_000_000_000, "1.0"), (2_500_000_000, "2.5"), (5_000_000_000, "5.0"),
        (10_000_000_000, "10.0"),
    ]
    private static let limits = bounds.map(\.nanoseconds)

    /// One more than there are bounds: the last is for all that took longer.
    private(set) var counts = [Int](repeating: 0, count: Self.limits.count + 1)
    private(set) var nanoseconds: Int64 = 0

    /// Which bucket a duration is counted in. Most are short, so the search begins there.
    static func bucket(_ nanoseconds: Int64) -> Int {
        var index = 0
        while index < limits.count, nanoseconds > limits[index] { index += 1 }
        return index
    }

    var count: Int { counts.reduce(0, +) }

    /// - Parameter duration: in nanoseconds; less than zero counts as zero.
    mutating func record(_ duration: Int64) {
        counts[Self.bucket(duration)] += 1
        nanoseconds &+= max(0, duration)
    }

    mutating func add(_ other: DurationHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        nanoseconds &+= other.nanoseconds
    }

    init() {}

    init(counts: [Int], nanoseconds: Int64) {
        self.counts = counts
        self.nanoseconds = nanoseconds
    }
}
