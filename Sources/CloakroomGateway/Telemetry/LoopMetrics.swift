import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import HTTPTypes

/// What one event loop has counted: plain numbers without a lock, as its connections alone write them.
final class LoopMetrics {
    private(set) var counts = LoopCounts()

    /// A response began, or its client did not wait for it.
    func requestAnswered(_ route: GatewayRoute?, status: Int, nanoseconds: Int64) {
        counts.requestAnswered(GatewayRoute.index(of: route), status: status, nanoseconds: nanoseconds)
    }

    func refused(_ limit: RefusingLimit) { counts.refused[limit.rawValue] += 1 }
    func upstreamFailed(isTimeout: Bool) {
        if isTimeout { counts.upstreamTimeouts += 1 } else { counts.upstreamUnavailable += 1 }
    }

    func clientSent(_ bytes: Int) { counts.clientReceived &+= bytes }
    func clientGets(_ bytes: Int) { counts.clientSent &+= bytes }
    func upstreamSent(_ bytes: Int) { counts.upstreamReceived &+= bytes }
    func upstreamGets(_ bytes: Int) { counts.upstreamSent &+= bytes }
}

/// What a client or a request was refused for.
enum RefusingLimit: Int, CaseIterable, Sendable {
    case connections, connectionsPerAddress, headerBytes, headerTime, bodyBytes, bodyTime, upstreamPlaces, upstreamQueue
    case eventsPerSession
    case malformed

    /// The setting that it is, or `malformed`.
    var label: String {
        switch self {
        case .connections: "MAX_CONNECTIONS"
        case .connectionsPerAddress: "MAX_CONNECTIONS_PER_ADDRESS"
        case .headerBytes: "REQUEST_HEADER_MAX_BYTES"
        case .headerTime: "REQUEST_HEADER_TIMEOUT"
        case .bodyBytes: "REQUEST_BODY_MAX_BYTES"
        case .bodyTime: "REQUEST_BODY_TIMEOUT"
        case .upstreamPlaces: "UPSTREAM_MAX_CONCURRENT"
        case .upstreamQueue: "UPSTREAM_QUEUE_TIMEOUT"
        case .eventsPerSession: "EVENTS_MAX_PER_SESSION"
        case .malformed: "malformed"
        }
    }
}

extension RefusingLimit {
    /// What a client is told whose request passes the limit while it is read.
    var answer: HTTPAnswer {
        switch self {
        case .bodyBytes: .problem("body_too_large", status: .contentTooLarge)
        case .headerTime, .bodyTime: .problem("request_timeout", status: .requestTimeout)
        default: .problem("bad_request", status: .badRequest)
        }
    }
}

extension HTTP1Failure {
    /// What a request is counted under that was refused for this.
    var limit: RefusingLimit { status == 431 || status == 414 ? .headerBytes : .malformed }
}

/// The numbers of one loop, or of several added up.
struct LoopCounts: Sendable {
    /// Statuses have three digits; the upstream may send any.
    private static let statuses = 1000

    /// By route, and within it by status.
    private var requests = [Int](repeating: 0, count: GatewayRoute.names.count * Self.statuses)
    private var durations = [DurationHistogram](repeating: DurationHistogram(), count: GatewayRoute.names.count)
    var refused = [Int](repeating: 0, count: RefusingLimit.allCases.count)
    var upstreamTimeouts = 0
    var upstreamUnavailable = 0
    var clientReceived = 0
    var clientSent = 0
    var upstreamReceived = 0
    var upstreamSent = 0
    // What is there at the moment.
    var active = 0
    var upstreamIdle = 0
    var upstreamOpen = 0

    mutating func requestAnswered(_ route: Int, status: Int, nanoseconds: Int64) {
        requests[route * Self.statuses + max(0, min(status, Self.statuses - 1))] &+= 1
        durations[route].record(nanoseconds)
    }

    mutating func add(_ other: LoopCounts) {
        for index in requests.indices { requests[index] &+= other.requests[index] }
        for index in durations.indices { durations[index].add(other.durations[index]) }
        for index in refused.indices { refused[index] += other.refused[index] }
        upstreamTimeouts += other.upstreamTimeouts
        upstreamUnavailable += other.upstreamUnavailable
        clientReceived &+= other.clientReceived
        clientSent &+= other.clientSent
        upstreamReceived &+= other.upstreamReceived
        upstreamSent &+= other.upstreamSent
        active += other.active
        upstreamIdle += other.upstreamIdle
        upstreamOpen += other.upstreamOpen
    }

    /// As a scrape shows them.
    ///
    /// - Parameter hasUpstream: whether there is an upstream to tell of.
    func families(hasUpstream: Bool) -> [MetricFamily] {
        var all = [
            MetricFamily("cloakroom_requests_total", .counter, "Requests, by route and status.", requestSamples),
            MetricFamily(
                "cloakroom_request_duration_seconds", .histogram, "How long it took until the response began.",
                durations.enumerated().filter { $1.count > 0 }.map {
                    .init(labels: Self.label("route", GatewayRoute.names[$0]), value: .histogram($1))
                }),
            MetricFamily("cloakroom_requests_active", .gauge, "Requests under way.", Double(active)),
            MetricFamily(
                "cloakroom_refused_total", .counter,
                "Connections and requests refused, by the limit that refused them.",
                RefusingLimit.allCases.map {
                    .init(labels: Self.label("limit", $0.label), value: .number(Double(refused[$0.rawValue])))
                }),
            MetricFamily(
                "cloakroom_client_received_bytes_total", .counter, "Bytes that clients sent, without TLS.",
                Double(clientReceived)),
            MetricFamily(
                "cloakroom_client_sent_bytes_total", .counter, "Bytes that clients were sent, without TLS.",
                Double(clientSent)),
        ]
        guard hasUpstream else { return all }
        all += [
            MetricFamily(
                "cloakroom_upstream_connections", .gauge, "Connections to the upstream.",
                [
                    .init(labels: Self.label("state", "busy"), value: .number(Double(upstreamOpen - upstreamIdle))),
                    .init(labels: Self.label("state", "idle"), value: .number(Double(upstreamIdle))),
                ]),
            MetricFamily(
                "cloakroom_upstream_failures_total", .counter, "Requests that failed at the upstream.",
                [
                    .init(labels: Self.label("reason", "timeout"), value: .number(Double(upstreamTimeouts))),
                    .init(labels: Self.label("reason", "unavailable"), value: .number(Double(upstreamUnavailable))),
                ]),
            MetricFamily(
                "cloakroom_upstream_received_bytes_total", .counter, "Bytes that the upstream sent, without TLS.",
                Double(upstreamReceived)),
            MetricFamily(
                "cloakroom_upstream_sent_bytes_total", .counter, "Bytes that the upstream was sent, without TLS.",
                Double(upstreamSent)),
        ]
        return all
    }

    private var requestSamples: [MetricFamily.Sample] {
        requests.enumerated().filter { $1 > 0 }.map { index, count in
            let (route, status) = index.quotientAndRemainder(dividingBy: Self.statuses)
            return .init(
                labels: MetricFamily.labels([("route", GatewayRoute.names[route]), ("status", "\(status)")]),
                value: .number(Double(count)))
        }
    }

    private static func label(_ name: String, _ value: String) -> String { MetricFamily.labels([(name, value)]) }
}

extension GatewayRoute {
    private static let all: [GatewayRoute] =
        [.start, .health, .readiness, .upstream, .events] + AuthEndpoint.allCases.map { .auth($0) }
        + Asset.allCases.map { .asset($0) }

    /// The names of all routes, and that of none.
    static let names = all.map(\.name) + ["none"]

    /// Where a route's name is.
    static func index(of route: GatewayRoute?) -> Int {
        switch route {
        case nil: all.count
        case .start?: 0
        case .health?: 1
        case .readiness?: 2
        case .upstream?: 3
        case .events?: 4
        case .auth?, .asset?: all.firstIndex { $0 == route } ?? all.count
        }
    }
}
