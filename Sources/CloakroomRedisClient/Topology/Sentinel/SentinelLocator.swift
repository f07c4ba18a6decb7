import NIOCore
import Synchronization

/// Asks the sentinels where the primary is, and remembers where connections were sent and what has been seen since.
final class SentinelLocator: Sendable {
    private struct State {
        var directory: SentinelDirectory
        /// Where connections were sent since the primary was last known to have changed.
        var sentTo: Set<RedisEndpoint> = []
        var last: RedisEndpoint?
        /// A server that was seen to be the primary before all sentinels say so.
        var promotion: Promotion?
    }

    let primaryName: String
    /// How to ask a sentinel.
    let options: SideConnection.Options
    /// How to ask a server.
    private let serverOptions: SideConnection.Options
    private let state: Mutex<State>

    init(
        sentinels: [RedisEndpoint], primaryName: String, options: SideConnection.Options,
        serverOptions: SideConnection.Options
    ) {
        self.primaryName = primaryName
        self.options = options
        self.serverOptions = serverOptions
        self.state = Mutex(State(directory: SentinelDirectory(sentinels)))
    }

    /// Where the primary is: a server that was just promoted as long as it says so itself, else by the first sentinel that
    /// knows.
    ///
    /// - Throws: ``RedisClientError``: no sentinel can be reached, they do not know the primary, or they refuse us.
    func locate() async throws -> RedisEndpoint {
        if let promoted = try await locatePromoted() { return promoted }
        var round = state.withLock { $0.directory.beginRound(primaryName: primaryName) }
        let question = Self.question(primaryName) + [.otherSentinels(primaryName)]
        while let sentinel = round.next() {
            do {
                let replies = try await SideConnection.ask(question, of: sentinel, options)
                let epoch = SentinelReply.epoch(replies[1])
                let address = SentinelReply.address(replies[0])
                guard let primary = round.answered(address, epoch: epoch, by: sentinel) else { continue }
                return settle(on: primary, sentinel, epoch, others: SentinelReply.others(replies[2]))
            } catch {
                try Task.checkCancellation()
                round.failed(error)
            }
        }
        guard let outdated = round.outdated else { throw round.failure }
        return settle(on: outdated.primary, outdated.sentinel, outdated.epoch, others: [])
    }

    private func settle(
        on primary: RedisEndpoint, _ sentinel: RedisEndpoint, _ epoch: Int, others: [RedisEndpoint]
    ) -> RedisEndpoint {
        state.withLock { state in
            state.directory.answered(sentinel, epoch: epoch, others: others)
            Self.sent(to: primary, &state)
        }
        return primary
    }

    private func locatePromoted() async throws -> RedisEndpoint? {
        guard let primary = state.withLock({ $0.promotion?.primary }) else { return nil }
        let answer = await role(of: primary)
        try Task.checkCancellation()
        let isKept = state.withLock { state in
            // Settled, or replaced by another, while we asked: what was asked for is not what counts now.
            guard state.promotion?.primary == primary else { return false }
            guard state.promotion?.holds(answer, now: .now()) == true else {
                state.promotion = nil
                return false
            }
            Self.sent(to: primary, &state)
            return true
        }
        // With the next attempt: what is known by then is what counts.
        guard answer == .primary || isKept == false else {
            throw RedisClientError(.notConnected, reason: "the new primary can't be reached")
        }
        return isKept ? primary : nil
    }

    /// Tells where connections are being sent.
    func sent(to primary: RedisEndpoint) { state.withLock { Self.sent(to: primary, &$0) } }

    private static func sent(to primary: RedisEndpoint, _ state: inout State) {
        state.sentTo.insert(primary)
        state.last = primary
    }

    /// Asks a server what it is.
    func role(of server: RedisEndpoint) async -> Promotion.Answer {
        guard let reply = try? await SideConnection.ask([.role], of: server, serverOptions)[0],
            let role = reply.elements?.first?.shortText
        else { return .unreachable }
        return role == "master" ? .primary : .replica
    }

    /// What a sentinel is asked to find out where the primary is.
    static func question(_ primaryName: String) -> [RedisCommand] {
        [.primaryAddress(primaryName), .monitoredPrimary(primaryName)]
    }

    /// Tells that the server that was named last is the primary.
    func confirmed() { state.withLock { $0.directory.confirmed() } }

    /// Tells what a sentinel answered.
    ///
    /// - Parameter epoch: the last failover that it knows of.
    /// - Returns: whether connections may have been sent elsewhere, so that they must be made anew.
    func heard(_ primary: RedisEndpoint, epoch: Int) -> Bool {
        state.withLock { state in
            guard state.directory.heard(epoch: epoch) else { return false }
            if let promotion = state.promotion {
                guard promotion.judge(epoch: epoch, now: .now()) == .settled else { return false }
                state.promotion = nil
            }
            return Self.learned(primary, &state)
        }
    }

    /// Tells that a server was seen to be the new primary, or was announced.
    ///
    /// - Returns: whether connections may have been sent elsewhere, so that they must be made anew.
    func promoted(_ primary: RedisEndpoint) -> Bool {
        state.withLock { state in
            if state.promotion?.primary != primary {
                // The leader announces last what it has answered for a while.
                guard state.last != primary || state.sentTo.contains(where: { $0 != primary }) else { return false }
                state.promotion = Promotion(
                    of: primary, formerEpoch: state.directory.highestEpoch, now: .now())
            }
            return Self.learned(primary, &state)
        }
    }

    private static func learned(_ primary: RedisEndpoint, _ state: inout State) -> Bool {
        guard state.sentTo.contains(where: { $0 != primary }) else { return false }
        state.sentTo = []
        return true
    }

    /// The sentinels, the one to ask first at the front.
    var sentinels: [RedisEndpoint] { state.withLock { $0.directory.sentinels } }

    /// Where the primary was when it was last located.
    var lastLocation: RedisEndpoint? { state.withLock { $0.last } }
}
