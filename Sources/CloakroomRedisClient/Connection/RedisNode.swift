import Logging
import NIOCore
import NIOPosix

/// One server and the few multiplexed connections that all callers share.
///
/// The commands of one task take the same connection as long as that is up, and so keep their order.
final class RedisNode: Sendable {
    private let connections: [MultiplexedConnection]

    /// Makes a node; nothing is connected before ``run()``.
    ///
    /// - Parameters:
    ///   - resources: what all nodes of one client share.
    ///   - locate: says where the server is; asked anew before each attempt to connect.
    init(
        configuration: RedisClientConfiguration, resources: ConnectionResources, logger: Logger,
        locate: @escaping @Sendable () async throws -> RedisEndpoint
    ) {
        let count = max(1, configuration.connections)
        let status = ConnectionStatus(total: count, url: configuration.url, logger: logger)
        self.connections = (0..<count).map { _ in
            MultiplexedConnection(
                configuration: configuration, resources: resources, status: status,
                eventLoop: MultiThreadedEventLoopGroup.singleton.next(), locate: locate)
        }
    }

    /// The event loops of the connections.
    var eventLoops: [any EventLoop] { connections.map(\.eventLoop) }

    /// Whether any connection is up, as far as is known.
    var isUp: Bool { connections.contains(where: \.isUp) }

    /// Sends one command.
    ///
    /// - Returns: the reply, errors included.
    func send(_ command: RedisCommand) async throws -> RESPValue {
        try await connection().send(command)
    }

    /// Sends commands together, in one round trip. Commands of other callers may be carried out between them.
    ///
    /// - Returns: a reply for each, errors included.
    /// - Throws: ``RedisClientError``; `CancellationError`.
    func send(pipeline commands: [RedisCommand]) async throws -> [RESPValue] {
        commands.isEmpty ? [] : try await connection().send(pipeline: commands)
    }

    /// Connects, and connects again whenever a connection is lost, until ``shutDown()`` or cancellation.
    func run() async {
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
    func shutDown() {
        for connection in connections { connection.shutDown() }
    }

    /// How many requests were sent and have no reply yet.
    func inFlightCount() async -> Int {
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
