import NIOCore

/// One connection's part in tracking. Lives on its event loop.
struct ConnectionTracking {
    private enum State {
        /// The handshake is not over.
        case new
        case tracking(TrackingMonitor.Member)
        /// In use, but its server reports no changes.
        case blind(TrackingMonitor.Member)
        case ended
    }

    private let monitor: TrackingMonitor
    private var state = State.new
    private var probe = FreshnessProbe()
    private var provenAt = NIODeadline.distantPast

    init(_ monitor: TrackingMonitor) { self.monitor = monitor }

    /// Tells that the handshake is over and callers are about to use the connection.
    ///
    /// - Parameter refusal: why the server reports no changes; `nil` if it does.
    mutating func begin(refusal: RedisServerError?) {
        guard case .new = state else { return }
        let member = monitor.join(refusal: refusal, provenAt: provenAt)
        state = refusal == nil ? .tracking(member) : .blind(member)
    }

    /// Tells that the connection is lost or about to be closed.
    mutating func end() {
        switch state {
        case .tracking(let member), .blind(let member): monitor.leave(member)
        case .new, .ended: break
        }
        state = .ended
    }

    mutating func wrote(_ count: Int, at now: NIODeadline) { probe.wrote(count, at: now) }

    /// Tells that replies have come, and that what came before them was reported.
    mutating func received(inFlight: Int) {
        guard let time = probe.received(inFlight: inFlight) else { return }
        provenAt = time
        if case .tracking(let member) = state { monitor.proved(member, at: time) }
    }

    /// Whether a `PING` is needed to find out whether all changes were reported.
    func isPingDue(now: NIODeadline) -> Bool {
        if case .tracking = state { probe.isPingDue(now: now) } else { false }
    }
}
