public import Logging
import NIOPosix
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
    private let connections: [MultiplexedConnection]
    private let logger: Logger
    private let isRunning = Atomic<Bool>(false)

    /// Makes a client; nothing is connected before ``run()``.
    ///
    /// - Parameter logger: gets connection events, never a command, a reply or a password.
    public init(configuration: RedisClientConfiguration, logger: Logger) {
        self.logger = logger
        let count = max(1, configuration.connections)
        let status = ConnectionStatus(total: count, url: configuration.url, logger: logger)
        self.connections = (0..<count).map { _ in
            MultiplexedConnection(
                configuration: configuration, status: status, eventLoop: MultiThreadedEventLoopGroup.singleton.next())
        }
    }

    /// An executor for each connection; see ``EventLoopTaskExecutor``.
    public var taskExecutors: [EventLoopTaskExecutor] { connections.map { EventLoopTaskExecutor($0.eventLoop) } }

    /// Sends one command.
    ///
    /// - Returns: the reply, which is not an error.
    /// - Throws: ``RedisServerError`` that Redis answered; ``RedisClientError``; `CancellationError`.
    public func send(_ command: RedisCommand) async throws -> RESPValue {
        let reply = try await connection().send(command)
        if case .error(let error) = reply { throw error }
        return reply
    }

    /// Sends commands together, in one round trip. Commands of other callers may be carried out between them.
    ///
    /// - Returns: a reply for each, errors included.
    /// - Throws: ``RedisClientError``; `CancellationError`.
    public func send(pipeline commands: [RedisCommand]) async throws -> [RESPValue] {
        commands.isEmpty ? [] : try await connection().send(pipeline: commands)
    }

    /// Connects, and connects again whenever a connection is lost, until ``shutDown()`` or cancellation.
    ///
    /// A second call, while or after the first runs, does nothing but say so in the log.
    public func run() async {
        guard !isRunning.exchange(true, ordering: .relaxed) else {
            logger.error("the Redis client was run already; it can't run twice")
            return
        }
        await withTaskGroup(of: Void.self) { group in
            for connection in connections {
                group.addTask {
                    await connection.run { requests in
                        // Its callers need not wait for it as long as another connection is up.
                        guard let other = self.connections.first(where: { $0 !== connection && $0.isUp }) else {
                            return requests
                        }
                        other.adopt(requests)
                        return []
                    }
                }
            }
        }
    }

    /// Refuses further commands, waits for the replies to those that were given, and ends ``run()``.
    public func shutDown() {
        for connection in connections { connection.shutDown() }
    }

    /// How many requests were sent and have no reply yet.
    package func inFlightCount() async -> Int {
        var count = 0
        for connection in connections { count += await connection.inFlightCount() }
        return count
    }

    /// The connection for the current task: its favourite if that is up, else any that is, else the favourite.
    private func connection() -> MultiplexedConnection {
        let favourite = favouriteConnection()
        if favourite.isUp { return favourite }
        return connections.first(where: \.isUp) ?? favourite
    }

    /// A task on a connection's own thread takes that connection. Any other keeps to one of them: so its commands keep
    /// their order, and tasks that work in step with one connection leave the server to those of the other meanwhile.
    private func favouriteConnection() -> MultiplexedConnection {
        guard connections.count > 1 else { return connections[0] }
        if let eventLoop = MultiThreadedEventLoopGroup.currentEventLoop,
            let connection = connections.first(where: { $0.eventLoop === eventLoop })
        {
            return connection
        }
        let task = withUnsafeCurrentTask { $0?.hashValue ?? 0 }
        return connections[Int(UInt(bitPattern: task) % UInt(connections.count))]
    }
}
