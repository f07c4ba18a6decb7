import Logging
import NIOCore

/// Listens to all sentinels, and asks each of them once a second: it may have missed something, and so may we.
struct SentinelListeners: Sendable {
    let locator: SentinelLocator
    let watch: PromotionWatch
    let logger: Logger

    /// More are not listened to: a handful watches a primary.
    private static let maximumCount = 16
    private static let questionInterval = Duration.seconds(1)
    private static let searchInterval = Duration.seconds(1)

    /// Listens until cancellation, also to sentinels that become known meanwhile.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            var known: Set<RedisEndpoint> = []
            while !Task.isCancelled {
                for sentinel in locator.sentinels
                where known.count < Self.maximumCount && known.insert(sentinel).inserted {
                    group.addTask { await keepListening(to: sentinel) }
                }
                try? await Task.sleep(for: Self.searchInterval)
            }
            group.cancelAll()
        }
    }

    private func keepListening(to sentinel: RedisEndpoint) async {
        var backoff = Backoff(first: .milliseconds(100), limit: .seconds(2))
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            do {
                let connection = try await SideConnection.open(sentinel, locator.options)
                defer { connection.close() }
                try await listen(to: connection) { backoff.reset() }
            } catch {
                logger.debug(
                    "No word from a sentinel", metadata: ["reason": "\(ConnectionFailure.describe(error))"])
            }
            try? await Task.sleep(for: backoff.delay(using: &generator))
        }
    }

    private func listen(to connection: SideConnection, whenHeard: () -> Void) async throws {
        let name = locator.primaryName
        let question = SentinelLocator.question(name)
        guard heard(try await connection.ask(question, after: .subscribe(SentinelNews.channels))) else { return }
        whenHeard()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while true {
                    try await Task.sleep(for: Self.questionInterval)
                    guard heard(try await connection.ask(question)) else { return }
                }
            }
            group.addTask {
                for await push in connection.pushes {
                    if let news = SentinelNews(push, primaryName: name) { watch.heard(news) }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// - Returns: `false` if the sentinel does not know the primary, and is not worth listening to.
    private func heard(_ replies: [RESPValue]) -> Bool {
        guard case .at(let primary) = SentinelReply.address(replies[0]) else { return false }
        watch.heard(primary, epoch: SentinelReply.epoch(replies[1]))
        return true
    }
}
