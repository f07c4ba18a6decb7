public import Logging
import Synchronization

/// A client for one Redis server over a few multiplexed connections.
///
/// All callers share the connections: commands of concurrent tasks are written together, and replies come in order. A
/// caller that is cancelled or runs out of time leaves without harm to the others. A lost connection is made anew, with
/// backoff and jitter; commands that are idempotent are then sent again.
///
/// The commands of one task take the same connection as long as that is up, and so keep their order.
///
/// ``run()`` keeps the connections and must run for as long as the client is used.
public final class RedisClient: Sendable {
    private let node: RedisNode
    private let logger: Logger
    private let isRunning = Atomic<Bool>(false)

    /// Makes a client; nothing is connected before ``run()``.
    ///
    /// - Parameter logger: gets connection events, never a command, a reply or a password.
    public init(configuration: RedisClientConfiguration, logger: Logger) {
        self.logger = logger
        let endpoint = configuration.url.servers[0]
        let resources = ConnectionResources(configuration: configuration, logger: logger)
        self.node = RedisNode(
            configuration: configuration, resources: resources, logger: logger, locate: { endpoint })
    }

    /// An executor for each connection; see ``EventLoopTaskExecutor``.
    public var taskExecutors: [EventLoopTaskExecutor] { node.eventLoops.map { EventLoopTaskExecutor($0) } }

    /// Sends one command.
    ///
    /// - Returns: the reply, which is not an error.
    /// - Throws: ``RedisServerError`` that Redis answered; ``RedisClientError``; `CancellationError`.
    public func send(_ command: RedisCommand) async throws -> RESPValue {
        let reply = try await node.send(command)
        if case .error(let error) = reply { throw error }
        return reply
    }

    /// Sends commands together, in one round trip. Commands of other callers may be carried out between them.
    ///
    /// - Returns: a reply for each, errors included.
    /// - Throws: ``RedisClientError``; `CancellationError`.
    public func send(pipeline commands: [RedisCommand]) async throws -> [RESPValue] {
        commands.isEmpty ? [] : try await node.send(pipeline: commands)
    }

    /// Connects, and connects again whenever a connection is lost, until ``shutDown()`` or cancellation.
    ///
    /// A second call, while or after the first runs, does nothing but say so in the log.
    public func run() async {
        guard !isRunning.exchange(true, ordering: .relaxed) else {
            logger.error("the Redis client was run already; it can't run twice")
            return
        }
        await node.run()
    }

    /// Refuses further commands, waits for the replies to those that were given, and ends ``run()``.
    public func shutDown() { node.shutDown() }

    /// How many requests were sent and have no reply yet.
    package func inFlightCount() async -> Int { await node.inFlightCount() }
}
