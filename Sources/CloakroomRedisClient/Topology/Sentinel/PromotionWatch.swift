import Logging
import NIOCore
import Synchronization

/// Follows a failover from the sentinels' first word to the new primary, and keeps commands back meanwhile.
final class PromotionWatch: Sendable {
    private let locator: SentinelLocator
    private let node: RedisNode
    private let logger: Logger
    /// The replica that is about to be the primary.
    private let candidate = Mutex<RedisEndpoint?>(nil)
    private let candidates: AsyncStream<RedisEndpoint>
    private let candidateContinuation: AsyncStream<RedisEndpoint>.Continuation

    /// For how long commands are kept back at most. A sentinel promotes the replica 50 to 100 ms after it has said that it
    /// will; if that does not come, the old primary is better than none.
    private static let maximumHold = TimeAmount.milliseconds(500)
    /// How often the replica is asked while commands are kept back, and how often after that.
    private static let pauses = (held: Duration.milliseconds(5), released: Duration.milliseconds(100))
    /// For how long it is asked at most.
    private static let patience = TimeAmount.seconds(30)

    init(locator: SentinelLocator, node: RedisNode, logger: Logger) {
        self.locator = locator
        self.node = node
        self.logger = logger
        (candidates, candidateContinuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(4))
    }

    // MARK: What is heard

    /// Tells what a sentinel answered.
    func heard(_ primary: RedisEndpoint, epoch: Int) {
        if locator.heard(primary, epoch: epoch) { moveOn() }
    }

    /// Tells what a sentinel has published.
    func heard(_ news: SentinelNews) {
        switch news {
        case .candidate(let replica):
            // Said twice: before it is promoted, and when it is.
            guard locator.lastLocation != replica else { return }
            let isNew = candidate.withLock { candidate in
                defer { candidate = replica }
                return candidate != replica
            }
            guard isNew else { return }
            // At once, on the thread that has read it: each write that still goes out may be lost.
            node.hold()
            candidateContinuation.yield(replica)
        case .aborted:
            candidate.withLock { $0 = nil }
        case .switched(let primary):
            candidate.withLock { if $0 != primary { $0 = nil } }
            guard locator.promoted(primary) else { return }
            logger.notice("Sentinel made another server the primary")
            moveOn()
        }
    }

    private func moveOn() {
        node.relocateAndRelease(
            RedisClientError(.connectionLost, reason: "the sentinels made another server the primary"))
    }

    // MARK: Following

    /// Follows failovers until cancellation.
    func run() async {
        for await replica in candidates {
            await follow(replica)
            candidate.withLock { if $0 == replica { $0 = nil } }
        }
    }

    private func follow(_ replica: RedisEndpoint) async {
        let start = NIODeadline.now()
        var isHeld = true
        // Commands that were moved on wait for the new connection; that is no hold of ours any more.
        defer { if isHeld { node.release() } }
        while !Task.isCancelled, candidate.withLock({ $0 == replica }), NIODeadline.now() < start + Self.patience {
            if await locator.role(of: replica) == .primary {
                isHeld = false
                logger.notice(
                    "A replica became the primary, before the sentinels announced it",
                    metadata: ["after": "\((NIODeadline.now() - start).nanoseconds / 1_000_000) ms"])
                if locator.promoted(replica) { moveOn() } else { node.release() }
                return
            }
            if isHeld, NIODeadline.now() >= start + Self.maximumHold {
                isHeld = false
                node.release()
            }
            try? await Task.sleep(for: isHeld ? Self.pauses.held : Self.pauses.released)
        }
    }
}
