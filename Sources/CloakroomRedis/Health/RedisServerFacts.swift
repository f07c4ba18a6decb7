import Cloakroom
import CloakroomRedisClient
import NIOCore

/// What one server says of itself, for metrics: numbers of the moment, and counts since it began.
package struct RedisServerFacts: Sendable {
    /// Where it is, as `host:port`.
    package let server: String
    /// Whether it has answered; without that, nothing else is known.
    package var isUp = false
    package var clients: Int?
    package var maximumClients: Int?
    package var memory: Int?
    /// 0 for no limit.
    package var maximumMemory: Int?
    /// In all databases of the server.
    package var keys: Int?
    package var evictedKeys: Int?
    package var expiredKeys: Int?

    init(server: String) { self.server = server }

    init(server: String, _ info: RedisInfo) {
        self.server = server
        isUp = true
        clients = info.number("connected_clients")
        maximumClients = info.number("maxclients")
        memory = info.number("used_memory")
        maximumMemory = info.number("maxmemory")
        keys = info.keyCount
        evictedKeys = info.number("evicted_keys")
        expiredKeys = info.number("expired_keys")
    }
}

extension RedisInfo {
    /// How many keys the databases have: the section `Keyspace` has a line for each that is not empty.
    var keyCount: Int {
        (0..<16).reduce(0) { sum, number in
            let first = self["db\(number)"]?.split(separator: ",").first { $0.hasPrefix("keys=") }
            return sum + (first.flatMap { Int($0.dropFirst("keys=".count)) } ?? 0)
        }
    }
}

extension RedisSessionStore {
    /// What the servers that have the sessions say of themselves. One that does not answer in time is down.
    package func serverFacts(within deadline: Duration) async -> [RedisServerFacts] {
        let client = calls.client
        let known = await valueInTime(deadline) { try? await client.primaries() } ?? nil
        guard let primaries = known else { return [RedisServerFacts(server: "unknown")] }
        return await withTaskGroup(of: RedisServerFacts.self) { group in
            for primary in primaries {
                group.addTask {
                    let info = await valueInTime(deadline) {
                        try? await primary.send(RedisCommand("INFO", isIdempotent: true))
                    }
                    switch info {
                    case .bulk(let buffer)??:
                        return RedisServerFacts(server: primary.id, RedisInfo(String(buffer: buffer)))
                    case .simpleString(let text)??: return RedisServerFacts(server: primary.id, RedisInfo(text))
                    default: return RedisServerFacts(server: primary.id)
                    }
                }
            }
            var all: [RedisServerFacts] = []
            for await facts in group { all.append(facts) }
            return all.sorted { $0.server < $1.server }
        }
    }
}
