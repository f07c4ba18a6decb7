public import Logging
import NIOCore
import Synchronization

/// A client for Redis over a few multiplexed connections to each server: one server, the primary that sentinels name, or the
/// nodes of a cluster, as the URL says.
///
/// All callers share the connections: commands of concurrent tasks are written together, and replies come in order. A
/// caller that is cancelled or runs out of time leaves without harm to the others. A lost connection is made anew, with
/// backoff and jitter; commands that are idempotent are then sent again. A command that a server has refused because
/// another is responsible, or because it is not ready, is sent again whether it is idempotent or not, as it was not carried
/// out. All of that within one command's time limit.
///
/// The commands of one task to one server take the same connection as long as that is up, and so keep their order.
///
/// ``run()`` keeps the connections and must run for as long as the client is used.
public final class RedisClient: Sendable {
    private enum Topology {
        case single(RedisNode, id: String)
        case sentinel(SentinelGroup)
        case cluster(ClusterClient)
    }

    private let topology: Topology
    private let logger: Logger
    private let isRunning = Atomic<Bool>(false)

    /// Makes a client; nothing is connected before ``run()``.
    ///
    /// - Parameter logger: gets connection events, never a command, a reply or a password.
    public init(configuration: RedisClientConfiguration, logger: Logger) {
        self.logger = logger
        let resources = ConnectionResources(configuration: configuration, logger: logger)
        switch configuration.url.topology {
        case .standalone:
            let endpoint = configuration.url.servers[0]
            let node = RedisNode(
                configuration: configuration, resources: resources, logger: logger, locate: { endpoint })
            topology = .single(node, id: endpoint.description)
        case .sentinel(let primaryName):
            topology = .sentinel(
                SentinelGroup(
                    configuration: configuration, resources: resources, primaryName: primaryName, logger: logger))
        case .cluster:
            topology = .cluster(ClusterClient(configuration: configuration, resources: resources, logger: logger))
        }
    }

    /// An executor for each connection that a server has; see ``EventLoopTaskExecutor``.
    public var taskExecutors: [EventLoopTaskExecutor] {
        let eventLoops =
            switch topology {
            case .single(let node, _): node.eventLoops
            case .sentinel(let group): group.node.eventLoops
            case .cluster(let cluster): cluster.eventLoops
            }
        return eventLoops.map { EventLoopTaskExecutor($0) }
    }

    // MARK: Commands

    /// Sends one command.
    ///
    /// - Returns: the reply, which is not an error.
    /// - Throws: ``RedisServerError`` that Redis answered; ``RedisClientError``; `CancellationError`.
    public nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue {
        let reply =
            switch topology {
            case .single(let node, _): try await node.send(command)
            case .sentinel(let group): try await group.send(command)
            case .cluster(let cluster): try await cluster.send(command)
            }
        if case .error(let error) = reply { throw error }
        return reply
    }

    /// Sends commands together, in one round trip. Commands of other callers may be carried out between them, and one that
    /// a server refused is sent again alone: a transaction must be sent as ``send(contiguous:)``.
    ///
    /// In a cluster each command goes to the node of its key; commands for different nodes are carried out in any order, and
    /// if the call throws some of them may have been carried out.
    ///
    /// - Returns: a reply for each, in their order, errors included.
    /// - Throws: ``RedisClientError``; `CancellationError`.
    public nonisolated(nonsending) func send(pipeline commands: [RedisCommand]) async throws -> [RESPValue] {
        guard !commands.isEmpty else { return [] }
        return switch topology {
        case .single(let node, _): try await node.send(pipeline: commands)
        case .sentinel(let group): try await group.send(pipeline: commands)
        case .cluster(let cluster): try await cluster.send(pipeline: commands)
        }
    }

    /// Sends commands as one group over one connection, such as a transaction, or a write and the `WAIT` for its replicas.
    /// It is sent again as a whole or not at all.
    ///
    /// - Parameter commands: whose keys, if they have any, are all in one slot.
    /// - Returns: a reply for each, in their order, errors included.
    /// - Throws: ``RedisClientError``; `CancellationError`.
    public nonisolated(nonsending) func send(contiguous commands: [RedisCommand]) async throws -> [RESPValue] {
        guard !commands.isEmpty else { return [] }
        return switch topology {
        case .single(let node, _): try await node.send(pipeline: commands)
        case .sentinel(let group): try await group.send(contiguous: commands)
        case .cluster(let cluster): try await cluster.send(contiguous: commands)
        }
    }

    // MARK: Servers

    /// Whether the keys are spread over several servers, so that commands of several keys need keys of one slot.
    public var isCluster: Bool {
        if case .cluster = topology { true } else { false }
    }

    /// The slot that a key has in a cluster: of its hash tag, `{…}`, if it has one.
    public func slot(of key: String) -> Int { HashSlot.of(key) }

    /// Whether one command can have all these keys: always, except in a cluster if they are in different slots.
    public func sameSlot(_ keys: [String]) -> Bool {
        guard isCluster, let first = keys.first else { return true }
        let slot = slot(of: first)
        return keys.dropFirst().allSatisfy { self.slot(of: $0) == slot }
    }

    /// The servers that have all keys among them: one, or in a cluster each node with slots.
    ///
    /// - Throws: ``RedisClientError`` when the nodes of a cluster are not known.
    public func primaries() async throws -> [RedisPrimary] {
        switch topology {
        case .single(let node, let id): return [RedisPrimary(id: id, server: .single(node))]
        case .sentinel(let group): return [RedisPrimary(id: group.primaryID, server: .sentinel(group))]
        case .cluster(let cluster):
            return try await cluster.primaries().map { member in
                RedisPrimary(id: member.endpoint.description, server: .cluster(cluster, member.endpoint))
            }
        }
    }

    // MARK: Life

    /// Connects, and connects again whenever a connection is lost, until ``shutDown()`` or cancellation.
    ///
    /// A second call, while or after the first runs, does nothing but say so in the log.
    public func run() async {
        guard !isRunning.exchange(true, ordering: .relaxed) else {
            logger.error("the Redis client was run already; it can't run twice")
            return
        }
        switch topology {
        case .single(let node, _): await node.run()
        case .sentinel(let group): await group.run()
        case .cluster(let cluster): await cluster.run()
        }
    }

    /// Refuses further commands, waits for the replies to those that were given, and ends ``run()``.
    public func shutDown() {
        switch topology {
        case .single(let node, _): node.shutDown()
        case .sentinel(let group): group.shutDown()
        case .cluster(let cluster): cluster.shutDown()
        }
    }

    /// How many requests were sent and have no reply yet.
    package func inFlightCount() async -> Int {
        switch topology {
        case .single(let node, _): await node.inFlightCount()
        case .sentinel(let group): await group.node.inFlightCount()
        case .cluster(let cluster): await cluster.inFlightCount()
        }
    }
}
