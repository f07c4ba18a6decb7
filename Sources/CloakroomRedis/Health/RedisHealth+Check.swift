import Cloakroom
import CloakroomRedisClient
public import Logging
import NIOCore
import Synchronization

/// What a look at Redis brought.
package struct RedisExamination: Sendable {
    /// The points.
    package let health: RedisHealth
    /// The replicas that have announced themselves there.
    package let replicas: [AnnouncedReplica]
}

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
        await examine(configuration, patience: patience, logger: logger).health
    }

    /// The same, and lists the replicas that have announced themselves.
    ///
    /// - Parameters:
    ///   - isReadOnly: whether nothing may be written.
    ///   - deadline: how long it may take in all.
    package static func examine(
        _ configuration: RedisStoreConfiguration, patience: Duration = .seconds(5), isReadOnly: Bool = false,
        deadline: Duration = .seconds(20), logger: Logger
    ) async -> RedisExamination {
        if let refusal = await RedisKnock.refusal(configuration, logger: logger) {
            return RedisExamination(
                health: RedisHealth(items: [unreachable(refusal, configuration.url)]), replicas: [])
        }
        var clientConfiguration = RedisClientConfiguration(configuration)
        clientConfiguration.connections = 1
        clientConfiguration.commandTimeout = patience
        let client = RedisClient(configuration: clientConfiguration, logger: logger)
        let keys = KeySchema(sessionPrefix: configuration.keyPrefix)
        let probe = RedisHealthProbe(client: client, keys: keys, url: configuration.url, isReadOnly: isReadOnly)
        return await withTaskGroup(of: RedisExamination?.self) { group in
            group.addTask {
                await client.run()
                return nil
            }
            group.addTask {
                do {
                    let facts = try await probe.facts()
                    return RedisExamination(
                        health: health(facts, configuration),
                        replicas: await replicas(client, keys, configuration.url, facts.map(\.facts)))
                } catch {
                    return RedisExamination(
                        health: RedisHealth(items: [unreachable(error, configuration.url)]), replicas: [])
                }
            }
            group.addTask {
                try? await Task.sleep(for: deadline)
                let item = Item(
                    "reachable", .fail, "\(configuration.url) did not answer all questions within \(deadline)",
                    remedy: RedisRemedies.remedy(forReason: "no reply", isTLS: configuration.url.isTLS))
                return RedisExamination(health: RedisHealth(items: [item]), replicas: [])
            }
            defer {
                client.shutDown()
                group.cancelAll()
            }
            while let result = await group.next() { if let result { return result } }
            return RedisExamination(health: RedisHealth(items: []), replicas: [])
        }
    }

    /// The replicas that use this server: where they should, and in its other databases and under other prefixes.
    private static func replicas(
        _ client: RedisClient, _ keys: KeySchema, _ url: RedisURL, _ facts: [RedisFacts]
    ) async -> [AnnouncedReplica] {
        let home = url.database
        var all = await ReplicaRegistry(client: client, keys: keys).all(in: home)
        let prefixes = Set(facts.flatMap { (try? $0.keys.get())?.registryPrefixes ?? [] })
        for prefix in prefixes.sorted().prefix(4) {
            let others = KeySchema(sessionPrefix: prefix)
            all += await ReplicaRegistry(client: client, keys: others).all(in: home)
        }
        guard !url.isCluster, let info = try? facts.first?.info.get() else { return all }
        for database in info.databases.filter({ $0 != home }).prefix(4) {
            all += await ReplicaRegistry(client: client, keys: keys).all(in: database, home: home)
        }
        return all
    }

    private static func health(
        _ facts: [(server: String, facts: RedisFacts)], _ configuration: RedisStoreConfiguration
    ) -> RedisHealth {
        RedisHealth(
            merging: facts.map { server, facts in
                let rules = RedisHealthRules(
                    facts: facts, expectsCluster: configuration.url.isCluster,
                    waitReplicas: configuration.waitReplicas, usesNearCache: configuration.nearCache != nil,
                    keyPrefix: configuration.keyPrefix, database: configuration.url.database,
                    keyIDs: configuration.keyring?.keyIDs, acceptsPlain: configuration.acceptsPlain)
                return (server, RedisHealth(items: rules.items))
            })
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

    static func unreachable(_ error: any Error, _ url: RedisURL) -> Item {
        let reason: String
        let remedy: String
        switch error {
        case let error as RedisServerError:
            reason = error.description
            remedy = RedisRemedies.remedy(for: error.kind)
        case let error as RedisClientError:
            reason = error.reason
            remedy = RedisRemedies.remedy(forReason: error.reason, isTLS: url.isTLS)
        default:
            reason = "\(type(of: error))"
            remedy = RedisRemedies.remedy(for: nil)
        }
        return Item("reachable", .fail, "\(url) can't be used: \(reason)", remedy: remedy)
    }
}
