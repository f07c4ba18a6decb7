import CloakroomRedisClient
import Logging

/// Tries whether a server takes us at all.
enum RedisKnock {
    /// Enough for a few attempts.
    private static let patience = Duration.milliseconds(700)

    /// Why it surely does not: it refuses the connection or our credentials, its name is unknown, its certificate is not good.
    ///
    /// - Returns: `nil` if it does, and where only more patience would tell.
    static func refusal(_ configuration: RedisStoreConfiguration, logger: Logger) async -> RedisClientError? {
        guard case .failure(let error as RedisClientError) = await ping(configuration, logger: logger) else {
            return nil
        }
        let words = ["refused", "resolved", "certificate", "reset by peer"]
        return error.code == .handshakeRefused || words.contains { error.reason.contains($0) } ? error : nil
    }

    /// One `PING`, over a connection of its own.
    static func ping(_ configuration: RedisStoreConfiguration, logger: Logger) async -> Result<Void, any Error> {
        var clientConfiguration = RedisClientConfiguration(configuration)
        clientConfiguration.connections = 1
        clientConfiguration.commandTimeout = patience
        let client = RedisClient(configuration: clientConfiguration, logger: logger)
        let running = Task { await client.run() }
        let result: Result<Void, any Error>
        do {
            _ = try await client.send(.ping)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        client.shutDown()
        running.cancel()
        await running.value
        return result
    }
}
