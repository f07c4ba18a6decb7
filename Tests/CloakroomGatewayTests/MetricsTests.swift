import CloakroomHTTP
import CoreMetrics
import Metrics
import Testing

@testable import CloakroomGateway

@Suite struct MetricsTests {
    private func lines(
        _ families: [MetricFamily], _ format: MetricsText.Format = .prometheus
    ) -> [String] {
        MetricsText.text(families, format).split(separator: "\n").map(String.init)
    }

    @Test("Durations fall into the bucket of the first bound that they do not pass")
    func buckets() {
        var histogram = DurationHistogram()
        for nanoseconds: Int64 in [-1, 0, 500_000, 500_001, 1_000_000_000, 10_000_000_000, 10_000_000_001, .max] {
            histogram.record(nanoseconds)
        }
        #expect(histogram.counts == [3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2])
        #expect(histogram.count == 8)
    }

    @Test("A page has a head for each name and its samples below, in the form that was asked for")
    func text() {
        var histogram = DurationHistogram()
        histogram.record(2_000_000)
        histogram.record(20_000_000_000)
        let families = [
            MetricFamily("b_total", .counter, "What\nit \\ is.", 3),
            MetricFamily(
                "a", .gauge, "", [.init(labels: MetricFamily.labels([("l", "\"\\\n")]), value: .number(0.25))]),
            MetricFamily("c_seconds", .histogram, "Time.", [.init(labels: "", value: .histogram(histogram))]),
            MetricFamily("none", .gauge, "Not there.", []),
        ]
        let prometheus = lines(families)
        #expect(
            prometheus.prefix(5) == [
                "# TYPE a gauge", #"a{l="\"\\\n"} 0.25"#, #"# HELP b_total What\nit \\ is."#, "# TYPE b_total counter",
                "b_total 3",
            ])
        #expect(prometheus.contains(#"c_seconds_bucket{le="0.001"} 0"#))
        #expect(prometheus.contains(#"c_seconds_bucket{le="0.0025"} 1"#))
        #expect(
            prometheus.suffix(3) == [#"c_seconds_bucket{le="+Inf"} 2"#, "c_seconds_sum 20.002", "c_seconds_count 2"])
        let open = lines(families, .openMetrics)
        #expect(open.contains("# TYPE b counter") && open.contains("b_total 3") && open.last == "# EOF")
    }

    @Test("OpenMetrics is for those that ask for it")
    func format() {
        #expect(MetricsText.Format(accept: nil).mediaType.hasPrefix("text/plain; version=0.0.4"))
        #expect(
            MetricsText.Format(accept: "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").mediaType
                == "application/openmetrics-text; version=1.0.0; charset=utf-8")
    }

    @Test("What is reported under one name and labels is one series, whoever makes it")
    func series() throws {
        let registry = MetricsRegistry()
        for _ in 0..<3 { Counter(label: "x.total", dimensions: [("a-b", "1")], factory: registry).increment(by: 2) }
        Counter(label: "x.total", dimensions: [("a-b", "2")], factory: registry).increment()
        Gauge(label: "g", factory: registry).record(4)
        Meter(label: "m", factory: registry).increment(by: 1.5)
        Metrics.Timer(label: "t", factory: registry).recordSeconds(1)
        // Of another kind: unseen.
        Counter(label: "g", factory: registry).increment()
        let text = lines(registry.families())
        #expect(text.contains(#"x_total{a_b="1"} 6"#) && text.contains(#"x_total{a_b="2"} 1"#))
        #expect(text.contains("g 4") && text.contains("m 1.5") && text.contains("t_sum 1"))
        #expect(text.contains("# TYPE g gauge"))
    }

    @Test("R53: labels without end leave the number of series bounded, and say so")
    func bounded() throws {
        let registry = MetricsRegistry()
        for number in 0..<10_000 {
            Counter(label: "x_total", dimensions: [("user", "\(number)")], factory: registry).increment()
        }
        let text = lines(registry.families())
        #expect(text.count { $0.hasPrefix("x_total{") } == MetricsRegistry.mostSeries)
        #expect(text.contains("cloakroom_metrics_series_dropped_total \(10_000 - MetricsRegistry.mostSeries)"))
    }

    @Test("Many tasks at once lose no count")
    func concurrent() async throws {
        let registry = MetricsRegistry()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<10_000 {
                        Counter(label: "n_total", factory: registry).increment()
                        Meter(label: "level", factory: registry).increment()
                        Metrics.Timer(label: "t", factory: registry).recordNanoseconds(1)
                    }
                }
            }
        }
        let text = lines(registry.families())
        #expect(text.contains("n_total 80000") && text.contains("level 80000") && text.contains("t_count 80000"))
    }

    @Test("Loops add up, by route and status; a status of no sense is within bounds too")
    func loops() {
        let (first, second) = (LoopMetrics(), LoopMetrics())
        first.requestAnswered(.upstream, status: 200, nanoseconds: 1_000_000)
        second.requestAnswered(.upstream, status: 200, nanoseconds: 3_000_000)
        second.requestAnswered(.auth(.me), status: 401, nanoseconds: 1)
        second.requestAnswered(nil, status: 99_999, nanoseconds: 1)
        second.refused(.bodyBytes)
        var sum = first.counts
        sum.add(second.counts)
        let text = lines(sum.families(hasUpstream: true))
        for line in [
            #"cloakroom_requests_total{route="/api/**",status="200"} 2"#,
            #"cloakroom_requests_total{route="/auth/me",status="401"} 1"#,
            #"cloakroom_requests_total{route="none",status="999"} 1"#,
            #"cloakroom_request_duration_seconds_sum{route="/api/**"} 0.004"#,
            #"cloakroom_refused_total{limit="REQUEST_BODY_MAX_BYTES"} 1"#,
        ] { #expect(text.contains(line), "\(line)") }
        #expect(!lines(sum.families(hasUpstream: false)).contains { $0.contains("upstream") })
    }

    @Test("What the system says of this process makes sense")
    func process() throws {
        let families = ProcessFacts.families()
        func value(_ name: String) throws -> Double {
            let family = try #require(families.first { $0.name == name })
            guard case .number(let number)? = family.samples.first?.value else { return .nan }
            return number
        }
        #expect(try value("process_cpu_seconds_total") > 0)
        #expect(try value("process_max_fds") > 0)
        #if os(Linux)
        #expect(try value("process_open_fds") > 1.0)
        #expect(try value("process_resident_memory_bytes") > 1_000_000)
        #expect(try value("process_start_time_seconds") > 1_700_000_000)
        #endif
    }

    @Test(
        "Addresses to listen on",
        arguments: [
            ("127.0.0.1:9090", "127.0.0.1", 9090), (":9090", "::", 9090), ("[::1]:0", "::1", 0), ("a.b:1", "a.b", 1),
        ])
    func address(text: String, host: String, port: Int) {
        let address = ListenAddress(text)
        #expect(address?.host == host && address?.port == port)
    }

    @Test(
        "What is no address",
        arguments: ["", "9090", "a", "a:", "a:65536", "a:-1", "a:+1", "::1:80", "[]:1", "[a:1", "a b:1"])
    func noAddress(text: String) { #expect(ListenAddress(text) == nil) }
}
