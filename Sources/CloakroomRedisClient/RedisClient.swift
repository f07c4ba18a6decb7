public import Logging
import NIOPosix

/// A client for one Redis server over a few multiplexed connections.
///
/// All callers share the connections: commands of concurrent tasks are written together, and replies come in order. A
/// caller that is cancelled or runs out of time leaves without harm to the others. A lost connection is made anew, with
/// backoff and jitter; commands that are idempotent are then sent once more.
///
/// The commands of one task take the same connection, and so keep their order.
///
/// ``run()`` keeps the connections and must run for as long as the client is used.
public final class RedisClient: Sendable {
    private let connections: [MultiplexedConnection]

    /// Makes a client; nothing is connected before ``run()``.
    ///
    /// - Parameter logger: gets connection events, never a command, a reply or a password.
    public init(configuration: RedisClientConfiguration, logger: Logger) {
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

    /// A round trip over every connection.
    ///
    /// - Throws: as ``send(_:)``, when one of them fails.
    public func ping() async throws {
        try await withThrowingTaskGroup(of: RESPValue.self) { group in
            for connection in connections { group.addTask { try await connection.send(.ping) } }
            for try await reply in group {
                if case .error(let error) = reply { throw error }
            }
        }
    }

    /// Connects, and connects again whenever a connection is lost, until ``shutDown()`` or cancellation.
    public func run() async {
        await withTaskGroup(of: Void.self) { group in
            for connection in connections { group.addTask { await connection.run() } }
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

    /// A task on a connection's own thread takes that connection. Any other keeps to one of them: so its commands keep
    /// their order, and tasks that work in step with one connection leave the server to those of the other meanwhile.
    private func connection() -> MultiplexedConnection {
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
