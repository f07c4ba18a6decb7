import NIOCore

/// What a client is over: one server, the primary that sentinels name, or the nodes of a cluster.
protocol RedisTopology: Sendable {
    /// The event loops of the connections that one server has.
    var eventLoops: [any EventLoop] { get }
    /// Whether the keys are spread over several servers.
    var isCluster: Bool { get }

    /// - Returns: the reply, errors included.
    nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue
    /// - Returns: a reply for each, errors included.
    nonisolated(nonsending) func send(pipeline commands: [RedisCommand]) async throws -> [RESPValue]
    /// The same for commands that belong together: sent again as a whole or not at all.
    nonisolated(nonsending) func send(contiguous commands: [RedisCommand]) async throws -> [RESPValue]
    /// The servers that have all keys among them.
    func primaries() async throws -> [RedisPrimary]

    /// Keeps the connections until ``shutDown()`` or cancellation.
    func run() async
    /// Refuses further commands, and waits for the replies to those that were given.
    func shutDown()
    /// How many requests were sent and have no reply yet.
    func inFlightCount() async -> Int
}

/// One server, which is always the same.
struct SingleServer: RedisTopology {
    let node: RedisNode
    let id: String

    var eventLoops: [any EventLoop] { node.eventLoops }
    var isCluster: Bool { false }

    nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue {
        try await node.send(command)
    }
    nonisolated(nonsending) func send(pipeline commands: [RedisCommand]) async throws -> [RESPValue] {
        try await node.send(pipeline: commands)
    }
    nonisolated(nonsending) func send(contiguous commands: [RedisCommand]) async throws -> [RESPValue] {
        try await node.send(pipeline: commands)
    }
    func primaries() async throws -> [RedisPrimary] {
        [RedisPrimary(id: id) { [node] commands in try await node.send(pipeline: commands) }]
    }
    func run() async { await node.run() }
    func shutDown() { node.shutDown() }
    func inFlightCount() async -> Int { await node.inFlightCount() }
}

extension SentinelGroup: RedisTopology {
    var eventLoops: [any EventLoop] { node.eventLoops }
    var isCluster: Bool { false }

    func primaries() async throws -> [RedisPrimary] {
        [RedisPrimary(id: primaryID) { commands in try await self.send(pipeline: commands) }]
    }
    func inFlightCount() async -> Int { await node.inFlightCount() }
}

extension ClusterClient: RedisTopology {
    var isCluster: Bool { true }

    func primaries() async throws -> [RedisPrimary] {
        try await members().map { member in
            RedisPrimary(id: member.endpoint.description) { commands in
                guard let node = self.primary(at: member.endpoint) else {
                    throw RedisClientError(
                        .notConnected, reason: "the server is not a primary of the cluster any more")
                }
                return try await node.send(pipeline: commands)
            }
        }
    }
}
