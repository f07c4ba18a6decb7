import Metrics

/// Counts and times refreshes.
struct RefreshMetrics: Sendable {
    enum Outcome: String {
        /// The provider gave new tokens.
        case refreshed
        /// Another process or task had new ones.
        case reused
        /// There were none to be had.
        case failed
        /// The session has ended.
        case ended
    }

    private let duration = Timer(label: "cloakroom_refresh_duration_seconds")
    private let wait = Timer(label: "cloakroom_refresh_lease_wait_seconds")

    func count(_ outcome: Outcome) {
        Counter(label: "cloakroom_refreshes_total", dimensions: [("outcome", outcome.rawValue)]).increment()
    }

    func timing<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        try await Self.timing(duration, body)
    }

    func timingWait<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        try await Self.timing(wait, body)
    }

    private static func timing<Value>(_ timer: Timer, _ body: () async throws -> Value) async rethrows -> Value {
        let clock = ContinuousClock()
        let began = clock.now
        defer { timer.record(duration: clock.now - began) }
        return try await body()
    }
}
