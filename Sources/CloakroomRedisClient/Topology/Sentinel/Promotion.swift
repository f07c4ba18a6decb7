import NIOCore

/// A server that was seen to be the new primary, before all sentinels say so.
///
/// Until they do, a sentinel that has not heard yet goes on naming the old one, which goes on taking writes that will be
/// lost. It does no I/O; its owner tells it what was heard and seen.
struct Promotion {
    /// How long it holds against what sentinels say. A failover waits for the other replicas to follow, by default for
    /// 180 s at most, before it is announced.
    static let lifetime = TimeAmount.minutes(5)
    /// How often in a row the server may be out of reach before the sentinels are believed again.
    static let maximumFailures = 8

    let primary: RedisEndpoint
    private let deadline: NIODeadline
    /// The last failover that was known before: what a sentinel says that knows of none later is out of date.
    private let formerEpoch: Int
    private var failures = 0

    init(of primary: RedisEndpoint, formerEpoch: Int, now: NIODeadline) {
        self.primary = primary
        self.formerEpoch = formerEpoch
        self.deadline = now + Self.lifetime
    }

    /// What to make of a sentinel's word on where the primary is.
    enum Verdict: Equatable {
        /// The sentinel has not heard of the promotion yet.
        case outdated
        /// It has, or knows of something later: the promotion is history.
        case settled
    }

    func judge(epoch: Int, now: NIODeadline) -> Verdict {
        epoch <= formerEpoch && now < deadline ? .outdated : .settled
    }

    /// What came of asking the server for its role.
    enum Answer {
        case primary
        case replica
        case unreachable
    }

    /// Whether to stay with the server.
    mutating func holds(_ answer: Answer, now: NIODeadline) -> Bool {
        guard now < deadline else { return false }
        switch answer {
        case .primary:
            failures = 0
            return true
        case .replica: return false
        case .unreachable:
            failures += 1
            return failures < Self.maximumFailures
        }
    }
}
