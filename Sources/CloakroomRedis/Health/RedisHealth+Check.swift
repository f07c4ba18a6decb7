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
                let reports = try await probe.facts().map { server, facts in
                    let rules = RedisHealthRules(
                        facts: facts, expectsCluster: configuration.url.isCluster,
                        waitReplicas: configuration.waitReplicas, usesNearCache: configuration.nearCache != nil)
                    return (server, RedisHealth(items: rules.items))
                }
                return RedisHealth(merging: reports)
            } catch {
                return RedisHealth(items: [unreachable(error, configuration.url)])
            }
        }
    }

    /// One report of several servers: for each point the worst, with the server that it is of.
    init(merging reports: [(server: String, health: RedisHealth)]) {
        guard let first = reports.first, reports.count > 1 else {
            self.init(items: reports.first?.health.items ?? [])
            return
        }
        let order: [Status] = [.ok, .unknown, .warn, .fail]
        self.init(
            items: first.health.items.map { item in
                let all = reports.compactMap { report in report.health[item.name].map { (report.server, $0) } }
                let worst = all.max {
                    (order.firstIndex(of: $0.1.status) ?? 0) < (order.firstIndex(of: $1.1.status) ?? 0)
                }
                // What is the same of all is of the whole.
                guard let (server, worst) = worst, all.contains(where: { $0.1.detail != worst.detail }) else {
                    return item
                }
                return Item(item.name, worst.status, "\(server): \(worst.detail)", remedy: worst.remedy)
            })
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
