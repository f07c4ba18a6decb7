/// The metrics of one name at one moment, as a scrape shows them.
struct MetricFamily: Sendable {
    enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    enum Value: Sendable {
        case number(Double)
        case histogram(DurationHistogram)
    }

    struct Sample: Sendable {
        /// As they stand between the braces; empty for none.
        let labels: String
        let value: Value
    }

    let name: String
    let kind: Kind
    let help: String
    var samples: [Sample]

    init(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        self.name = name
        self.kind = kind
        self.help = help
        self.samples = samples
    }

    /// One without labels.
    init(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        self.init(name, kind, help, [Sample(labels: "", value: .number(value))])
    }

    /// Labels as they stand between the braces, their values escaped.
    static func labels(_ pairs: [(String, String)]) -> String {
        pairs.map { name, value in "\(MetricName.label(name))=\"\(escaped(value))\"" }.joined(separator: ",")
    }

    private static func escaped(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x0A }) else { return value }
        return value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}

/// Names as Prometheus takes them: what other libraries call their metrics may have other characters.
enum MetricName {
    static func metric(_ name: String) -> String { cleaned(name, allowsColon: true) }
    static func label(_ name: String) -> String { cleaned(name, allowsColon: false) }

    private static func cleaned(_ name: String, allowsColon: Bool) -> String {
        func isFit(_ byte: UInt8, isFirst: Bool) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): !isFirst
            case UInt8(ascii: ":"): allowsColon
            default: false
            }
        }
        if !name.isEmpty, name.utf8.enumerated().allSatisfy({ isFit($1, isFirst: $0 == 0) }) { return name }
        var bytes = name.utf8.map { isFit($0, isFirst: false) ? $0 : UInt8(ascii: "_") }
        if bytes.first.map({ !isFit($0, isFirst: true) }) ?? true { bytes.insert(UInt8(ascii: "_"), at: 0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Writes metrics for a scraper.
struct MetricsText {
    /// How.
    enum Format: Sendable {
        /// Prometheus' text format, 0.0.4.
        case prometheus
        /// OpenMetrics 1.0.
        case openMetrics

        /// What a scraper asks for with `Accept`.
        init(accept: String?) {
            self = accept?.lowercased().contains("application/openmetrics-text") == true ? .openMetrics : .prometheus
        }

        var mediaType: String {
            switch self {
            case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }

    /// The whole page, by name.
    static func text(_ families: [MetricFamily], _ format: Format) -> String {
        var text = MetricsText(format: format)
        for family in families.sorted(by: { $0.name < $1.name }) where !family.samples.isEmpty { text.add(family) }
        if format == .openMetrics { text.out += "# EOF\n" }
        return text.out
    }

    private let format: Format
    private var out = ""

    private init(format: Format) { self.format = format }

    private mutating func add(_ family: MetricFamily) {
        // OpenMetrics names a counter without the ending that its samples have.
        let total = "_total"
        let base =
            family.kind == .counter && family.name.hasSuffix(total)
            ? String(family.name.dropLast(total.count)) : family.name
        let name = format == .openMetrics ? base : family.name
        let sampleName = format == .openMetrics && family.kind == .counter ? base + total : family.name
        let help = family.help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        if !help.isEmpty { out += "# HELP \(name) \(help)\n" }
        out += "# TYPE \(name) \(family.kind.rawValue)\n"
        for sample in family.samples.sorted(by: { $0.labels < $1.labels }) {
            switch sample.value {
            case .number(let number): line(sampleName, sample.labels, Self.text(number))
            case .histogram(let histogram): add(family.name, sample.labels, histogram)
            }
        }
    }

    private mutating func add(_ name: String, _ labels: String, _ histogram: DurationHistogram) {
        var count = 0
        let prefix = labels.isEmpty ? "" : labels + ","
        for (index, bucket) in histogram.counts.enumerated() {
            count += bucket
            let bound = index < DurationHistogram.bounds.count ? DurationHistogram.bounds[index].text : "+Inf"
            line(name + "_bucket", "\(prefix)le=\"\(bound)\"", String(count))
        }
        line(name + "_sum", labels, Self.text(Double(histogram.nanoseconds) / 1_000_000_000))
        line(name + "_count", labels, String(count))
    }

    private mutating func line(_ name: String, _ labels: String, _ value: String) {
        out += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    private static func text(_ number: Double) -> String {
        if let whole = Int(exactly: number) { return String(whole) }
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number > 0 ? "+Inf" : "-Inf" }
        return "\(number)"
    }
}
