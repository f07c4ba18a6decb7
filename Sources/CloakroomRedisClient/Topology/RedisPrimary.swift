/// One server that takes writes, for what is about servers and not about keys: `SCAN`, `INFO`, `CONFIG GET`.
///
/// It can be kept as long as wanted. If the server leaves the cluster or is a primary no more, its calls fail.
public struct RedisPrimary: Sendable {
    enum Server: Sendable {
        case single(RedisNode)
        case sentinel(SentinelGroup)
        case cluster(ClusterClient, RedisEndpoint)
    }

    /// Tells the primaries of one client apart, and stays the same for each: its address.
    public let id: String
    let server: Server

    /// Sends one command to this server.
    ///
    /// - Returns: the reply, which is not an error.
    /// - Throws: ``RedisServerError`` that Redis answered; ``RedisClientError``; `CancellationError`.
    public func send(_ command: RedisCommand) async throws -> RESPValue {
        let reply = try await send(pipeline: [command])[0]
        if case .error(let error) = reply { throw error }
        return reply
    }

    /// Sends commands together to this server, in one round trip.
    ///
    /// - Returns: a reply for each, errors included.
    /// - Throws: ``RedisClientError``; `CancellationError`.
    public func send(pipeline commands: [RedisCommand]) async throws -> [RESPValue] {
        guard !commands.isEmpty else { return [] }
        switch server {
        case .single(let node): return try await node.send(pipeline: commands)
        case .sentinel(let group): return try await group.send(pipeline: commands)
        case .cluster(let cluster, let endpoint):
            guard let node = cluster.primary(at: endpoint) else {
                throw RedisClientError(.notConnected, reason: "the server is not a primary of the cluster any more")
            }
            return try await node.send(pipeline: commands)
        }
    }
}
