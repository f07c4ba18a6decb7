/// How long to wait before each new attempt to connect: twice as long each time, up to a limit, with jitter, so that many
/// replicas do not knock at once.
struct Backoff {
    private let first: Duration
    private let limit: Duration
    private var next: Duration

    init(first: Duration = .milliseconds(20), limit: Duration = .seconds(2)) {
        self.first = first
        self.limit = limit
        self.next = first
    }

    /// The time to wait now: between half of the step and the whole of it.
    mutating func delay(using generator: inout some RandomNumberGenerator) -> Duration {
        let step = next
        next = min(step * 2, limit)
        return step * Double.random(in: 0.5...1, using: &generator)
    }

    /// Tells that a connection was made.
    mutating func reset() { next = first }
}
