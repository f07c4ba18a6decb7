public import CoreMetrics
import Synchronization

/// Keeps the metrics that are reported through swift-metrics, for the gateway's `/metrics`.
///
/// Bootstrap it once for the process, before anything makes metrics, and hand it to the ``Gateway``:
///
/// ```swift
/// let registry = MetricsRegistry()
/// MetricsSystem.bootstrap(registry)
/// let gateway = try Gateway(settings: settings, logger: logger, metrics: registry)
/// ```
///
/// How many series it keeps is bounded, whatever labels are reported: those beyond are not kept, and counted
/// (`cloakroom_metrics_series_dropped_total`).
public final class MetricsRegistry: MetricsFactory {
    /// How many series there may be.
    static let mostSeries = 2000

    private struct Family {
        let kind: MetricFamily.Kind
        var series: [String: any Series] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var count = 0
        var dropped = 0
    }

    private let state = Mutex(State())

    /// Makes a registry that keeps nothing yet.
    public init() {}

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .counter) { CounterSeries() }
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge) { GaugeSeries() }
    }

    /// A gauge. One that aggregates shows its last value too: what is counted here in buckets are durations alone.
    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        series(label, dimensions, .gauge) { GaugeSeries() }
    }

    /// A histogram of seconds.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, .histogram) { HistogramSeries() }
    }

    // Whoever has made a metric may make it again, and its count goes on.
    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}

    private func series<Kept: Series>(
        _ label: String, _ dimensions: [(String, String)], _ kind: MetricFamily.Kind, _ make: () -> Kept
    ) -> Kept {
        let name = MetricName.metric(label)
        let labels = MetricFamily.labels(dimensions)
        return state.withLock { state in
            if let kept = state.families[name]?.series[labels] {
                // Of another kind under the same name: it counts for itself, unseen.
                return kept as? Kept ?? make()
            }
            guard state.count < Self.mostSeries, state.families[name].map({ $0.kind == kind }) ?? true else {
                state.dropped += 1
                return make()
            }
            let made = make()
            state.families[name, default: Family(kind: kind)].series[labels] = made
            state.count += 1
            return made
        }
    }

    /// All that it keeps, as of now.
    func families() -> [MetricFamily] {
        let (families, dropped) = state.withLock { ($0.families, $0.dropped) }
        var all = families.map { name, family in
            MetricFamily(
                name, family.kind, MetricHelp.texts[name] ?? "",
                family.series.map { MetricFamily.Sample(labels: $0.key, value: $0.value.value) })
        }
        all.append(
            MetricFamily(
                "cloakroom_metrics_series_dropped_total", .counter,
                "Metrics that were not kept, as there were too many.",
                Double(dropped)))
        return all
    }
}

/// One series of the registry.
private protocol Series: AnyObject, Sendable {
    var value: MetricFamily.Value { get }
}

private final class CounterSeries: Series, CounterHandler {
    private let count = Atomic<Int64>(0)

    var value: MetricFamily.Value { .number(Double(count.load(ordering: .relaxed))) }
    func increment(by amount: Int64) { count.wrappingAdd(max(0, amount), ordering: .relaxed) }
    func reset() { count.store(0, ordering: .relaxed) }
}

private final class GaugeSeries: Series, MeterHandler, RecorderHandler {
    private let bits = Atomic<UInt64>(0)

    var value: MetricFamily.Value { .number(Double(bitPattern: bits.load(ordering: .relaxed))) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    func increment(by amount: Double) { add(amount) }
    func decrement(by amount: Double) { add(-amount) }
    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }

    private func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (isExchanged, original) = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if isExchanged { return }
            old = original
        }
    }
}

/// Counts without a lock, as many tasks time their commands at once.
private final class HistogramSeries: Series, TimerHandler {
    private static let size = DurationHistogram.bounds.count + 1
    // Made once, and given back when nobody has it any more; the cells are atomic.
    private nonisolated(unsafe) let cells: UnsafeMutablePointer<Atomic<Int>>
    private let sum = Atomic<Int64>(0)

    init() {
        cells = .allocate(capacity: Self.size)
        for index in 0..<Self.size { (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        cells.deinitialize(count: Self.size)
        cells.deallocate()
    }

    func recordNanoseconds(_ duration: Int64) {
        cells[DurationHistogram.bucket(duration)].wrappingAdd(1, ordering: .relaxed)
        sum.wrappingAdd(max(0, duration), ordering: .relaxed)
    }

    var value: MetricFamily.Value {
        .histogram(
            DurationHistogram(
                counts: (0..<Self.size).map { cells[$0].load(ordering: .relaxed) },
                nanoseconds: sum.load(ordering: .relaxed)))
    }
}
