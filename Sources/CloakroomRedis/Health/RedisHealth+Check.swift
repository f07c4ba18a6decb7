import CloakroomRedisClient
public import Logging

extension RedisHealth {
    /// Looks at a server, over a connection of its own.
    ///
    /// - Parameters:
    ///   - configuration: as the store has it.
    ///   - patience: how long to wait for a connection.
    ///   - logger: gets connection events.
    /// - Returns: a report; of a server that can't be reached it says just that, and why.
    public static func check(
        _ configuration: RedisStoreConfiguration, patience: Duration = .seconds(5), logger: Logger
    ) async -> RedisHealth {
        var clientConfiguration = RedisClientConfiguration(configuration)
        clientConfiguration.connections = 1
        clientConfiguration.commandTimeout = patience
        let client = RedisClient(configuration: clientConfiguration, logger: logger)
        let probe = RedisHealthProbe(
            client: client, keys: KeySchema(sessionPrefix: configuration.keyPrefix),
            expectsCluster: configuration.url.isCluster)
        return await withTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            defer { client.shutDown() }
            do {
                let rules = RedisHealthRules(
                    facts: try await probe.facts(), expectsCluster: configuration.url.isCluster,
                    waitReplicas: configuration.waitReplicas, usesNearCache: configuration.nearCache != nil)
                return RedisHealth(items: rules.items)
            } catch {
                return RedisHealth(items: [unreachable(error, configuration.url)])
            }
        }
    }

    private static func unreachable(_ error: any Error, _ url: RedisURL) -> Item {
        let reason: String
        let remedy: String
        switch error {
        case let error as RedisServerError:
            reason = error.description
            remedy = RedisHealthRules.remedy(for: error.kind)
        case let error as RedisClientError:
            reason = error.reason
            remedy =
                error.code == .handshakeRefused
                ? "correct user, password and database in REDIS_URL, or what the reason says of the server"
                : RedisHealthRules.remedy(for: nil)
        default:
            reason = "\(type(of: error))"
            remedy = RedisHealthRules.remedy(for: nil)
        }
        return Item("reachable", .fail, "\(url) can't be used: \(reason)", remedy: remedy)
    }
}
