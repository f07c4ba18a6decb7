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
    ///   - eventLoops: one for each connection.
    ///   - greeting: further commands of each handshake, to find out what kind of server it is.
    ///   - accept: judges the replies to them, errors included; throws to refuse the server.
    ///   - locate: says where the server is; asked anew before each attempt to connect.
    init(
        configuration: RedisClientConfiguration, resources: ConnectionResources, logger: Logger,
        eventLoops: [any EventLoop]? = nil, greeting: [RedisCommand] = [],
        accept: @escaping @Sendable ([RESPValue]) throws -> Void = { _ in },
        locate: @escaping @Sendable () async throws -> RedisEndpoint
    ) {
        let eventLoops = eventLoops ?? Self.chooseEventLoops(for: configuration)
        let status = ConnectionStatus(total: eventLoops.count, url: configuration.url, logger: logger)
        self.connections = eventLoops.map { eventLoop in
            MultiplexedConnection(
                configuration: configuration, resources: resources, status: status, eventLoop: eventLoop,
                greeting: greeting, accept: accept, locate: locate)
        }
    }

    /// An event loop for each connection that a node has.
    static func chooseEventLoops(for configuration: RedisClientConfiguration) -> [any EventLoop] {
        (0..<max(1, configuration.connections)).map { _ in configuration.eventLoopGroup.next() }
    }

    /// The event loops of the connections.
    var eventLoops: [any EventLoop] { connections.map(\.eventLoop) }

    /// Whether any connection is up, as far as is known.
    var isUp: Bool { connections.contains(where: \.isUp) }

    /// Sends one command.
    ///
    /// - Parameter deadline: until when the caller waits; `nil` for as long as the configuration says.
    /// - Returns: the reply, errors included.
    nonisolated(nonsending) func send(_ command: RedisCommand, deadline: NIODeadline? = nil) async throws -> RESPValue {
        try await connection().send(command, deadline: deadline)
    }

    /// Sends commands together, in one round trip. Commands of other callers may be carried out between them.
    ///
    /// - Parameter deadline: until when the caller waits; `nil` for as long as the configuration says.
    /// - Returns: a reply for each, errors included.
    /// - Throws: ``RedisClientError``; `CancellationError`.
    nonisolated(nonsending) func send(pipeline commands: [RedisCommand], deadline: NIODeadline? = nil) async throws
        -> [RESPValue]
    {
        commands.isEmpty ? [] : try await connection().send(pipeline: commands, deadline: deadline)
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

    /// Closes the connections and makes them anew at once, to wherever the server is by now.
    ///
    /// - Parameter error: why; what the requests that have no reply fail with, unless they can be sent again.
    func relocate(_ error: RedisClientError) {
        for connection in connections {
            // In this order, a connection that is just being made sees the one or the other.
            connection.reconnectNow()
            connection.disconnect(error)
        }
    }

    /// Keeps requests back until they are released or their time is over.
    func hold() {
        for connection in connections { connection.hold() }
    }

    /// Lets requests that were kept back go on.
    func release() {
        for connection in connections { connection.release() }
    }

    /// Closes the connections and makes them anew at once; requests that were kept back go on over the new ones alone.
    func relocateAndRelease(_ error: RedisClientError) {
        for connection in connections { connection.releaseWhenConnected() }
        relocate(error)
    }

    /// Makes the connections that are down anew at once.
    func reconnectNow() {
        for connection in connections where !connection.isUp { connection.reconnectNow() }
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
