import NIOCore

/// What becomes of one command in a cluster when a node refuses it or can't be reached: where and when to send it next.
///
/// It does no I/O and knows no time; its owner tells it what came back and does what it answers.
struct ClusterAttempt {
    /// Where to send a command.
    enum Target: Equatable {
        /// To the node that has its slot, by the map.
        case owner
        /// To this node, which said nothing itself but was named.
        case moved(RedisEndpoint)
        /// To this node once, with `ASKING` before it.
        case ask(RedisEndpoint)
    }

    /// What to do next.
    struct Step: Equatable {
        var target = Target.owner
        /// How long to wait before.
        var delay = TimeAmount.zero
        /// Whether the map is out of date.
        var wantsMap = false
        /// A slot that has moved, to the node in `target`.
        var movedSlot: Int?
    }

    /// More redirections than this are a cluster that does not know itself.
    static let maximumRedirections = 16
    /// How often a command is sent again after its connection was lost.
    static let maximumLosses = 4

    private let isIdempotent: Bool
    private var redirections = 0
    private var waits = 0
    private var losses = 0

    init(isIdempotent: Bool) { self.isIdempotent = isIdempotent }

    /// Tells that a node answered with an error.
    ///
    /// - Returns: `nil` if the error is the answer.
    mutating func step(after error: RedisServerError, from node: RedisEndpoint) -> Step? {
        switch error.kind {
        case .moved:
            guard countRedirection() else { return nil }
            guard let redirection = error.redirection else { return Step(delay: wait(), wantsMap: true) }
            let endpoint = redirection.endpoint(saidBy: node)
            return Step(
                target: .moved(endpoint), delay: redirectionDelay, wantsMap: true, movedSlot: redirection.slot)
        case .ask:
            guard countRedirection() else { return nil }
            guard let redirection = error.redirection else { return Step(delay: wait(), wantsMap: true) }
            return Step(target: .ask(redirection.endpoint(saidBy: node)), delay: redirectionDelay)
        case .tryAgain:
            return Step(delay: wait())
        case .clusterDown, .loading, .primaryDown, .readOnly:
            // None of these was carried out.
            return Step(delay: wait(), wantsMap: true)
        default:
            return nil
        }
    }

    /// Tells that a node could not be reached, or that the connection to it was lost.
    ///
    /// - Parameter hasMoved: whether the slot has another node by now.
    /// - Returns: `nil` if the error is the answer.
    mutating func step(after error: RedisClientError, hasMoved: Bool) -> Step? {
        switch error.code.kind {
        case .shutDown:
            // The node has left the cluster, and has not carried the command out, or it may be repeated.
            guard countRedirection() else { return nil }
            return Step(delay: redirectionDelay, wantsMap: true)
        case .notConnected, .handshakeRefused:
            // It was not sent. As long as the same node is responsible, waiting for it is the node's own business.
            guard hasMoved, countRedirection() else { return nil }
            return Step()
        case .connectionLost:
            guard isIdempotent, losses < Self.maximumLosses else { return nil }
            losses += 1
            return Step(delay: wait(), wantsMap: true)
        case .timeout, .notSent, .protocolViolation, .overloaded:
            return nil
        }
    }

    private mutating func countRedirection() -> Bool {
        redirections += 1
        return redirections <= Self.maximumRedirections
    }

    /// The first redirections are followed at once; nodes that send a command to and fro are given time to agree.
    private var redirectionDelay: TimeAmount { redirections <= 3 ? .zero : .milliseconds(Int64(redirections) * 5) }

    /// Twice as long each time, up to a limit.
    private mutating func wait() -> TimeAmount {
        defer { waits += 1 }
        return .milliseconds(min(5 << Int64(min(waits, 8)), 100))
    }
}
