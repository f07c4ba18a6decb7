import Synchronization

/// Asks the sentinels where the primary is, and remembers where connections were sent.
final class SentinelLocator: Sendable {
    private struct State {
        var directory: SentinelDirectory
        /// Where connections were sent since the primary was last known to have changed.
        var sentTo: Set<RedisEndpoint> = []
        var last: RedisEndpoint?
    }

    let primaryName: String
    let options: SideConnection.Options
    private let state: Mutex<State>

    init(sentinels: [RedisEndpoint], primaryName: String, options: SideConnection.Options) {
        self.primaryName = primaryName
        self.options = options
        self.state = Mutex(State(directory: SentinelDirectory(sentinels)))
    }

    /// Where the primary is, by the first sentinel that knows.
    ///
    /// - Throws: ``RedisClientError``: no sentinel can be reached, they do not know the primary, or they refuse us.
    func locate() async throws -> RedisEndpoint {
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
            state.sentTo.insert(primary)
            state.last = primary
        }
        return primary
    }

    /// What a sentinel is asked to find out where the primary is.
    static func question(_ primaryName: String) -> [RedisCommand] {
        [.primaryAddress(primaryName), .monitoredPrimary(primaryName)]
    }

    /// Tells that the server that was named last is the primary.
    func confirmed() { state.withLock { $0.directory.confirmed() } }

    /// Tells which failover a sentinel knows as the last.
    ///
    /// - Returns: `false` if it has missed one.
    func heard(epoch: Int) -> Bool { state.withLock { $0.directory.heard(epoch: epoch) } }

    /// Tells where the primary is by now.
    ///
    /// - Returns: whether connections may have been sent elsewhere, so that they must be made anew.
    func learned(_ primary: RedisEndpoint) -> Bool {
        state.withLock { state in
            guard state.sentTo.contains(where: { $0 != primary }) else { return false }
            state.sentTo = []
            return true
        }
    }

    /// The sentinels, the one to ask first at the front.
    var sentinels: [RedisEndpoint] { state.withLock { $0.directory.sentinels } }

    /// Where the primary was when it was last located.
    var lastLocation: RedisEndpoint? { state.withLock { $0.last } }
}
