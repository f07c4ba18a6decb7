import Logging
import NIOCore
import Synchronization

/// Puts together what the connections of one client know about changes of the keys that are read over them.
///
/// The client's reads may take any of the connections, so what was read may be believed only as long as all of them have
/// reported all changes. The observer is told one point in time, the earliest of theirs.
final class TrackingMonitor: Sendable {
    /// One connection that is up.
    struct Member: Hashable, Sendable {
        fileprivate let number: Int
    }

    private struct State {
        var lastNumber = 0
        /// Until when each connection's reports can be relied on; `nil` for one whose server makes none.
        var members: [Member: NIODeadline?] = [:]
        /// What the observer was told last.
        var confirmed = NIODeadline.distantPast
        var hasNotedRefusal = false
    }

    private let observer: any InvalidationObserver
    private let trust: TimeAmount
    private let logger: Logger
    /// The observer is called under the lock: so no confirmation that counts a lost connection as if it were well overtakes
    /// the news of its loss.
    private let state = Mutex(State())

    init(observer: any InvalidationObserver, trust: Duration, logger: Logger) {
        self.observer = observer
        self.trust = TimeAmount(trust)
        self.logger = logger
    }

    /// Tells that a connection is about to be used.
    ///
    /// - Parameters:
    ///   - refusal: why its server reports no changes; `nil` if it does.
    ///   - time: when the command was written whose reply came last.
    func join(refusal: RedisServerError?, provenAt time: NIODeadline) -> Member {
        let (member, isNews) = state.withLock { state in
            state.lastNumber += 1
            let member = Member(number: state.lastNumber)
            state.members.updateValue(refusal == nil ? time + trust : nil, forKey: member)
            guard refusal != nil else { return (member, false) }
            // What will be read over it can't be believed, not even for what is left of the last confirmation.
            interrupt(&state)
            defer { state.hasNotedRefusal = true }
            return (member, !state.hasNotedRefusal)
        }
        if isNews, let refusal {
            logger.notice(
                "Redis does not report changes of keys, so nothing that is read is kept",
                metadata: ["reason": "CLIENT TRACKING: \(refusal)"])
        }
        return member
    }

    /// Tells that a reply has come, which proves that all was reported that had changed when its command was written.
    func proved(_ member: Member, at time: NIODeadline) {
        state.withLock { state in
            guard case .some(.some) = state.members[member] else { return }
            state.members[member] = time + trust
            guard let earliest = Self.earliest(state.members.values), earliest > state.confirmed else { return }
            state.confirmed = earliest
            observer.trackingConfirmed(until: earliest)
        }
    }

    /// Tells that a connection is gone. Comes before any of its requests fails or is sent elsewhere.
    func leave(_ member: Member) {
        state.withLock { state in
            if state.members.removeValue(forKey: member) != nil { interrupt(&state) }
        }
    }

    /// Tells that changes may go unreported for a reason other than a lost connection: keys that were read have moved to
    /// another node.
    func interrupt() { state.withLock { interrupt(&$0) } }

    /// Passes on what a server reported.
    func invalidated(_ keys: [ByteBuffer]?) { observer.invalidated(keys) }

    private func interrupt(_ state: inout State) {
        state.confirmed = .distantPast
        observer.trackingInterrupted()
    }

    /// The earliest of these; `nil` if there is none or one of them is unknown.
    private static func earliest(_ times: some Sequence<NIODeadline?>) -> NIODeadline? {
        var earliest: NIODeadline?
        for time in times {
            guard let time else { return nil }
            earliest = min(earliest ?? time, time)
        }
        return earliest
    }
}
