import CoreMetrics
import Synchronization

/// What this process has counted since a test first asked: the sum of each counter, and nothing of other metrics.
///
/// A process can be given a factory of metrics only once; so this is one for all tests, each of which looks at what a
/// counter has gained.
package enum CountedMetrics {
    private static let factory: CountingFactory = {
        let factory = CountingFactory()
        MetricsSystem.bootstrap(factory)
        return factory
    }()

    /// The sum of the counters with this label that were made after the first call.
    package static func total(_ label: String) -> Int64 {
        factory.sums.withLock { $0[label]?.value.load(ordering: .relaxed) ?? 0 }
    }
}

private final class CountingFactory: MetricsFactory {
    final class Sum: CounterHandler {
        let value = Atomic<Int64>(0)

        func increment(by amount: Int64) { value.add(amount, ordering: .relaxed) }
        func reset() { value.store(0, ordering: .relaxed) }
    }

    let sums = Mutex<[String: Sum]>([:])

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        sums.withLock { sums in
            let sum = sums[label] ?? Sum()
            sums[label] = sum
            return sum
        }
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        NOOPMetricsHandler.instance
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { NOOPMetricsHandler.instance }

    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}
