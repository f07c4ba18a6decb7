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
    private let topology: any RedisTopology
    private let resources: ConnectionResources
    private let metrics = CommandMetrics()
    private let logger: Logger
    private let isRunning = Atomic<Bool>(false)

    /// Makes a client; nothing is connected before ``run()``.
    ///
    /// - Parameter logger: gets connection events, never a command, a reply or a password.
    public init(configuration: RedisClientConfiguration, logger: Logger) {
        self.logger = logger
        let resources = ConnectionResources(configuration: configuration, logger: logger)
        self.resources = resources
        switch configuration.url.topology {
        case .standalone:
            let endpoint = configuration.url.servers[0]
            let node = RedisNode(
                configuration: configuration, resources: resources, logger: logger, locate: { endpoint })
            topology = SingleServer(node: node, id: endpoint.description)
        case .sentinel(let primaryName):
            topology = SentinelGroup(
                configuration: configuration, resources: resources, primaryName: primaryName, logger: logger)
        case .cluster:
            topology = ClusterClient(configuration: configuration, resources: resources, logger: logger)
        }
    }

    /// Reads the files of certificates and keys again, for connections that are made from now on; those that are up stay.
    ///
    /// - Throws: an error that names the file and says what is wrong with it; what was read before stays in use.
    public func renewTLS() throws(RedisClientError) { try resources.renewTLS() }

    /// An executor for each connection that a server has; see ``EventLoopTaskExecutor``.
    public var taskExecutors: [EventLoopTaskExecutor] {
        topology.eventLoops.map { EventLoopTaskExecutor($0) }
    }

    // MARK: Commands

    /// Sends one command.
    ///
    /// - Returns: the reply, which is not an error.
    /// - Throws: ``RedisServerError`` that Redis answered; ``RedisClientError``; `CancellationError`.
    public nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue {
        let began = NIODeadline.now()
        do {
            let reply = try await topology.send(command)
            if case .error(let error) = reply { throw error }
            metrics.note(command, since: began, failed: false)
            return reply
        } catch {
            metrics.note(command, since: began, failed: true)
            throw error
        }
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
        guard let first = commands.first else { return [] }
        let began = NIODeadline.now()
        do {
            let replies = try await topology.send(pipeline: commands)
            metrics.note(first, since: began, failed: false)
            return replies
        } catch {
            metrics.note(first, since: began, failed: true)
            throw error
        }
    }

    /// Sends commands as one group over one connection, such as a transaction, or a write and the `WAIT` for its replicas.
    /// It is sent again as a whole or not at all.
    ///
    /// - Parameter commands: whose keys, if they have any, are all in one slot.
    /// - Returns: a reply for each, in their order, errors included.
    /// - Throws: ``RedisClientError``; `CancellationError`.
    public nonisolated(nonsending) func send(contiguous commands: [RedisCommand]) async throws -> [RESPValue] {
        guard let first = commands.first else { return [] }
        let began = NIODeadline.now()
        do {
            let replies = try await topology.send(contiguous: commands)
            metrics.note(first, since: began, failed: false)
            return replies
        } catch {
            metrics.note(first, since: began, failed: true)
            throw error
        }
    }

    // MARK: Servers

    /// Whether the keys are spread over several servers, so that commands of several keys need keys of one slot.
    public var isCluster: Bool { topology.isCluster }

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
    public func primaries() async throws -> [RedisPrimary] { try await topology.primaries() }

    // MARK: Life

    /// Connects, and connects again whenever a connection is lost, until ``shutDown()`` or cancellation.
    ///
    /// A second call, while or after the first runs, does nothing but say so in the log.
    public func run() async {
        guard !isRunning.exchange(true, ordering: .relaxed) else {
            logger.error("the Redis client was run already; it can't run twice")
            return
        }
        await topology.run()
    }

    /// Refuses further commands, waits for the replies to those that were given, and ends ``run()``.
    public func shutDown() { topology.shutDown() }

    /// How many requests were sent and have no reply yet.
    package func inFlightCount() async -> Int { await topology.inFlightCount() }
}
