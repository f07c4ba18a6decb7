import Dispatch

/// The rate of `body`, run by this many tasks for a while, on the given executors in turn or on Swift's own.
///
/// - Returns: calls in a second, the median of the rounds.
func rate(
    tasks: Int, rounds: Int = 5, seconds: Double = 1, on executors: [any TaskExecutor] = [],
    _ body: @escaping @Sendable (_ number: Int) async throws -> Void
) async throws -> Double {
    var rates: [Double] = []
    for round in 0...rounds {
        let start = DispatchTime.now().uptimeNanoseconds
        let end = start + UInt64(seconds * 1e9)
        let calls = try await withThrowingTaskGroup(of: Int.self) { group in
            for task in 0..<tasks {
                group.addTask(executorPreference: executors.isEmpty ? nil : executors[task % executors.count]) {
                    var calls = 0
                    while calls % 16 != 0 || DispatchTime.now().uptimeNanoseconds < end {
                        try await body(task &* 7919 &+ calls)
                        calls += 1
                    }
                    return calls
                }
            }
            return try await group.reduce(0, +)
        }
        let elapsed = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        // The first round warms up.
        if round > 0 { rates.append(Double(calls) / elapsed) }
    }
    return rates.sorted()[rates.count / 2]
}

/// Nanoseconds of single calls, sorted.
func latencies(count: Int, _ body: (_ number: Int) async throws -> Void) async rethrows -> [UInt64] {
    var samples: [UInt64] = []
    samples.reserveCapacity(count)
    for number in 0..<count {
        let start = DispatchTime.now().uptimeNanoseconds
        try await body(number)
        samples.append(DispatchTime.now().uptimeNanoseconds - start)
    }
    return samples.sorted()
}

extension Double {
    /// `285k/s`
    var perSecond: String { self >= 1e6 ? "\((self / 1e4).rounded() / 100)M/s" : "\(Int((self / 1000).rounded()))k/s" }
    var ratio: String { "\((self * 100).rounded() / 100)" }
}

func column(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}
