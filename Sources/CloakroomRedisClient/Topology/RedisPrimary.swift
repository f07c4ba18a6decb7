/// One server that takes writes, for what is about servers and not about keys: `SCAN`, `INFO`, `CONFIG GET`.
///
/// It can be kept as long as wanted. If the server leaves the cluster or is a primary no more, its calls fail.
public struct RedisPrimary: Sendable {
    /// Tells the primaries of one client apart, and stays the same for each: its address.
    public let id: String
    private let sendAll: @Sendable ([RedisCommand]) async throws -> [RESPValue]

    init(id: String, send: @escaping @Sendable ([RedisCommand]) async throws -> [RESPValue]) {
        self.id = id
        sendAll = send
    }

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
        return try await sendAll(commands)
    }
}
