import CloakroomRedisClient
package import Logging
import NIOCore
import NIOPosix

/// How well a Redis is guarded, as far as that can be seen from where this runs and as the user that we are.
package enum RedisSecurity {
    package typealias Item = RedisHealth.Item

    /// What was learnt.
    struct Facts: Sendable {
        /// What a stranger without user and password is told.
        var stranger: Result<Void, RedisFactError> = .notAsked
        /// The addresses that the host names stand for; `nil` where they can't be looked up.
        var addresses: [SocketAddress]?
        /// `ACL WHOAMI`.
        var user: Result<String, RedisFactError> = .notAsked
        /// Which of ``dangerous`` commands our user may use.
        var permitted: Result<[String], RedisFactError> = .notAsked
        /// `CONFIG GET`.
        var bind: Result<String, RedisFactError> = .notAsked
        var protectedMode: Result<String, RedisFactError> = .notAsked
        var port: Result<String, RedisFactError> = .notAsked
        var slowLogThreshold: Result<String, RedisFactError> = .notAsked
        /// The addresses of clients other than this one, by the name that they gave themselves.
        var clients: Result<[String: Set<String>], RedisFactError> = .notAsked
    }

    /// Commands by which whoever has our password could do most harm.
    static let dangerous = ["CONFIG", "FLUSHALL", "KEYS", "SHUTDOWN", "DEBUG"]

    /// Looks, within about `deadline`.
    package static func check(
        _ configuration: RedisStoreConfiguration, deadline: Duration, logger: Logger
    ) async -> [Item] {
        async let stranger = stranger(configuration, patience: deadline / 2, logger: logger)
        async let addresses = addresses(of: configuration.url)
        var facts = await asUser(configuration, patience: deadline / 2, logger: logger)
        facts.stranger = await stranger
        facts.addresses = await addresses
        return RedisSecurityRules(facts: facts, url: configuration.url).items
    }

    // MARK: Asking

    private static func stranger(
        _ configuration: RedisStoreConfiguration, patience: Duration, logger: Logger
    ) async -> Result<Void, RedisFactError> {
        var configuration = configuration
        configuration.url = configuration.url.withoutCredentials
        let end = ContinuousClock.now + patience
        while true {
            switch await RedisKnock.ping(configuration, logger: logger) {
            case .success: return .success(())
            case .failure(let error):
                let found = RedisFactError(error)
                // A busy server may not get to say so at once.
                if saysNoPassword(found) || ContinuousClock.now >= end { return .failure(found) }
            }
        }
    }

    /// Whether a stranger was told that a password is needed.
    static func saysNoPassword(_ error: RedisFactError) -> Bool {
        if error.kind == .authenticationRequired { return true }
        if case .failed(let reason) = error.refusal { return reason.contains("NOAUTH") }
        return false
    }

    private static func asUser(
        _ configuration: RedisStoreConfiguration, patience: Duration, logger: Logger
    ) async -> Facts {
        await with(configuration, patience: patience, logger: logger) { client in
            var facts = Facts()
            do {
                guard let primary = try await client.primaries().first else { return facts }
                _ = try await primary.send(.ping)
                facts.user = await attempt {
                    try RedisHealthProbe.text(await primary.send(acl("WHOAMI")))
                }
                let user = (try? facts.user.get()) ?? configuration.url.user ?? "default"
                facts.permitted = await permitted(user, primary)
                func setting(_ name: String) async -> Result<String, RedisFactError> {
                    await attempt { try await RedisHealthProbe.setting(name, of: primary) }
                }
                facts.bind = await setting("bind")
                facts.protectedMode = await setting("protected-mode")
                facts.port = await setting("port")
                facts.slowLogThreshold = await setting("slowlog-log-slower-than")
                facts.clients = await attempt {
                    let list = RedisCommand("CLIENT", [.text("LIST")], isIdempotent: true)
                    return readClients(try RedisHealthProbe.text(await primary.send(list)))
                }
            } catch {
                facts.bind = .failure(RedisFactError(error))
            }
            return facts
        }
    }

    /// Asks Redis itself whether the user might (Redis 7), and does none of it.
    private static func permitted(_ user: String, _ primary: RedisPrimary) async -> Result<[String], RedisFactError> {
        let trials: [[RedisCommand.Argument]] = [
            [.text("CONFIG"), .text("GET"), .text("x")], [.text("FLUSHALL")], [.text("KEYS"), .text("*")],
            [.text("SHUTDOWN")], [.text("DEBUG"), .text("SLEEP"), .text("0")],
        ]
        return await attempt {
            let replies = try await primary.send(
                pipeline: trials.map {
                    RedisCommand("ACL", [.text("DRYRUN"), .text(user)] + $0, isIdempotent: true)
                })
            if case .error(let error) = replies[0] { throw error }
            return zip(dangerous, replies).filter { $0.1 == .simpleString("OK") }.map(\.0)
        }
    }

    private static func acl(_ subcommand: String) -> RedisCommand {
        RedisCommand("ACL", [.text(subcommand)], isIdempotent: true)
    }

    private static func attempt<Value>(_ body: () async throws -> Value) async -> Result<Value, RedisFactError> {
        do {
            return .success(try await body())
        } catch {
            return .failure(RedisFactError(error))
        }
    }

    /// Addresses, without ports, by the names of clients. Names are what clients say of themselves: only safe ones count.
    static func readClients(_ text: String) -> [String: Set<String>] {
        var clients: [String: Set<String>] = [:]
        for line in text.split(whereSeparator: \.isNewline).prefix(10_000) {
            var fields: [Substring: Substring] = [:]
            for part in line.split(separator: " ") {
                guard let equals = part.firstIndex(of: "=") else { continue }
                fields[part[..<equals]] = part[part.index(after: equals)...]
            }
            guard let address = fields["addr"], let colon = address.lastIndex(of: ":") else { continue }
            let name = fields["name"] ?? ""
            let isSafe = name.utf8.count <= 64 && name.utf8.allSatisfy { (0x21...0x7E).contains($0) }
            clients[isSafe ? String(name) : "?", default: []].insert(String(address[..<colon].prefix(64)))
        }
        return clients
    }

    /// The addresses behind the URL's host names. Another thread waits for the name server.
    private static func addresses(of url: RedisURL) async -> [SocketAddress]? {
        let servers = url.servers
        return try? await NIOThreadPool.singleton.runIfActive {
            try servers.compactMap { endpoint -> SocketAddress? in
                guard case .tcp(let host, let port) = endpoint else { return nil }
                return try SocketAddress.makeAddressResolvingHost(host, port: port)
            }
        }
    }

    private static func with<Value: Sendable>(
        _ configuration: RedisStoreConfiguration, patience: Duration, logger: Logger,
        _ body: @escaping @Sendable (RedisClient) async -> Value
    ) async -> Value {
        var clientConfiguration = RedisClientConfiguration(configuration)
        clientConfiguration.connections = 1
        clientConfiguration.commandTimeout = patience
        let client = RedisClient(configuration: clientConfiguration, logger: logger)
        let running = Task { await client.run() }
        let value = await body(client)
        client.shutDown()
        running.cancel()
        await running.value
        return value
    }
}
