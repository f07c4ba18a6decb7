import CloakroomRedisClient
import NIOCore

/// Asks the servers for the facts. All that it writes is one small key that lives for a second.
struct RedisHealthProbe: Sendable {
    /// A sample of this many keys says enough, and does not keep a large server busy.
    private static let maximumKeys = 5000
    private static let keysPerStep = 500

    let client: RedisClient
    let keys: KeySchema
    let expectsCluster: Bool

    /// What each server says that has a share of the keys.
    ///
    /// - Throws: what the first round trip threw; all that fails later is a fact.
    func facts() async throws -> [(server: String, facts: RedisFacts)] {
        var common = RedisFacts()
        common.roundTrip = try await roundTrip()
        if expectsCluster {
            common.cluster = await attempt {
                RedisInfo(
                    try Self.text(await client.send(RedisCommand("CLUSTER", [.text("INFO")], isIdempotent: true))))
            }
        }
        common.writes = await tryWrites()
        common.tracking = await tryTracking()
        var all: [(server: String, facts: RedisFacts)] = []
        for primary in try await client.primaries() {
            var facts = common
            facts.info = await attempt {
                RedisInfo(try Self.text(await primary.send(RedisCommand("INFO", isIdempotent: true))))
            }
            facts.save = await setting("save", of: primary)
            facts.appendOnly = await setting("appendonly", of: primary)
            facts.policy = await setting("maxmemory-policy", of: primary)
            facts.lifetimes = await sampleLifetimes(of: primary)
            all.append((primary.id, facts))
        }
        return all
    }

    private func roundTrip() async throws -> Duration {
        // The first one may have to wait for the connection.
        _ = try await client.send(.ping)
        var times: [Duration] = []
        for _ in 0..<5 {
            let start = ContinuousClock.now
            _ = try await client.send(.ping)
            times.append(ContinuousClock.now - start)
        }
        return times.sorted()[2]
    }

    private func attempt<Value>(_ body: () async throws -> Value) async -> Result<Value, RedisFactError> {
        do {
            return .success(try await body())
        } catch {
            return .failure(RedisFactError(error))
        }
    }

    private func setting(_ name: String, of primary: RedisPrimary) async -> Result<String, RedisFactError> {
        await attempt {
            let command = RedisCommand("CONFIG", [.text("GET"), .text(name)], isIdempotent: true)
            switch try await primary.send(command) {
            case .map(let pair) where pair.count == 2, .array(let pair) where pair.count == 2:
                return try Self.text(pair[1])
            default: throw RedisFactError(.failed("an unexpected reply to CONFIG GET"))
            }
        }
    }

    /// What sessions and logins are done with: a write with a TTL, a script, a read that takes away.
    private func tryWrites() async -> Result<Void, RedisFactError> {
        let key = keys.oneTimeRecord("health-\(UInt64.random(in: 0 ... .max))")
        return await attempt {
            _ = try await client.send(.set(key, .text("1"), milliseconds: 1000))
            _ = try await client.send(
                .evaluate(source: "return redis.call('GET', KEYS[1])", key: key, [], isIdempotent: true))
            _ = try await client.send(.getAndDelete(key))
        }
    }

    private func tryTracking() async -> Result<Void, RedisFactError> {
        await attempt {
            let replies = try await client.send(pipeline: [
                RedisCommand("CLIENT", [.text("TRACKING"), .text("ON")], isIdempotent: true),
                RedisCommand("CLIENT", [.text("TRACKING"), .text("OFF")], isIdempotent: true),
            ])
            if case .error(let error) = replies[0] { throw error }
        }
    }

    private func sampleLifetimes(
        of primary: RedisPrimary
    ) async -> Result<(seen: Int, endless: Int, isComplete: Bool), RedisFactError> {
        await attempt {
            var cursor = "0"
            var seen = 0
            var endless = 0
            var steps = 0
            repeat {
                let found: [String]
                (cursor, found) = try await step(after: cursor, on: primary)
                seen += found.count
                endless += try await countEndless(found, on: primary)
                steps += 1
                // Steps are bounded too: on a server full of other keys few of them bring any of ours.
            } while cursor != "0" && seen < Self.maximumKeys && steps < 40
            return (seen, endless, cursor == "0")
        }
    }

    private func step(after cursor: String, on primary: RedisPrimary) async throws -> (String, [String]) {
        let reply = try await primary.send(
            RedisCommand(
                "SCAN",
                [
                    .text(cursor), .text("MATCH"), .text(keys.sessionPattern), .text("COUNT"),
                    .integer(Self.keysPerStep),
                ], isIdempotent: true))
        guard case .array(let parts) = reply, parts.count == 2, case .array(let found) = parts[1] else {
            throw RedisFactError(.failed("an unexpected reply to SCAN"))
        }
        return (try Self.text(parts[0]), try found.map(Self.text))
    }

    private func countEndless(_ found: [String], on primary: RedisPrimary) async throws -> Int {
        guard !found.isEmpty else { return 0 }
        return try await primary.send(pipeline: found.map { .remainingMilliseconds($0) })
            .count { $0 == .number(-1) }
    }

    private static func text(_ value: RESPValue) throws -> String {
        switch value {
        case .bulk(let buffer): return String(buffer: buffer)
        case .simpleString(let text): return text
        default: throw RedisFactError(.failed("an unexpected reply"))
        }
    }
}
