import Cloakroom
import CloakroomRedisClient
import NIOCore

import struct Foundation.Date

/// Asks the servers for the facts. All that it writes is one small key, which it removes.
struct RedisHealthProbe: Sendable {
    private static let roundTrips = 20
    /// The newest entries of the slow log that are looked at.
    private static let slowEntries = 128

    let client: RedisClient
    let keys: KeySchema
    let url: RedisURL
    /// Whether nothing may be written.
    let isReadOnly: Bool

    /// What each server says that has a share of the keys.
    ///
    /// - Throws: what the first round trip threw; all that fails later is a fact.
    func facts() async throws -> [(server: String, facts: RedisFacts)] {
        var common = RedisFacts()
        common.roundTrips = try await measureRoundTrips()
        if url.isCluster {
            common.cluster = await attempt {
                RedisInfo(
                    try Self.text(await client.send(RedisCommand("CLUSTER", [.text("INFO")], isIdempotent: true))))
            }
        }
        common.writes = isReadOnly ? .failure(RedisFactError(.notTried)) : await tryWrites()
        common.tracking = await tryTracking()
        var all: [(server: String, facts: RedisFacts)] = []
        for primary in try await client.primaries() {
            all.append((primary.id, await facts(of: primary, common)))
        }
        return all
    }

    private func facts(of primary: RedisPrimary, _ common: RedisFacts) async -> RedisFacts {
        var facts = common
        facts.info = await attempt {
            RedisInfo(try Self.text(await primary.send(RedisCommand("INFO", isIdempotent: true))))
        }
        facts.save = await setting("save", of: primary)
        facts.appendOnly = await setting("appendonly", of: primary)
        facts.policy = await setting("maxmemory-policy", of: primary)
        facts.clock = await clock(of: primary)
        facts.slowLog = await slowLog(of: primary, skew: try? facts.clock.get())
        let sampler = KeySampler(primary: primary, keys: keys)
        facts.keys = await attempt { try await sampler.sample() }
        if !url.isCluster, let info = try? facts.info.get() { facts.otherDatabases = await otherDatabases(info) }
        return facts
    }

    private func measureRoundTrips() async throws -> [Duration] {
        // The first one may have to wait for the connection.
        try await ping()
        var times: [Duration] = []
        for _ in 0..<Self.roundTrips {
            let start = ContinuousClock.now
            try await ping()
            times.append(ContinuousClock.now - start)
            // On a very slow link a few tell enough.
            if times.reduce(.zero, +) > .seconds(2) { break }
            // All at once would fall between two commands that hold the server up.
            try await Task.sleep(for: .milliseconds(10))
        }
        return times
    }

    /// A server that can't write to its disk refuses even this, and answers all the same; what else it says tells more.
    private func ping() async throws {
        do {
            _ = try await client.send(.ping)
        } catch let error as RedisServerError where error.kind == .misconfigured {}
    }

    private func attempt<Value>(_ body: () async throws -> Value) async -> Result<Value, RedisFactError> {
        do {
            return .success(try await body())
        } catch {
            return .failure(RedisFactError(error))
        }
    }

    private func setting(_ name: String, of primary: RedisPrimary) async -> Result<String, RedisFactError> {
        await attempt { try await Self.setting(name, of: primary) }
    }

    static func setting(_ name: String, of primary: RedisPrimary) async throws -> String {
        let command = RedisCommand("CONFIG", [.text("GET"), .text(name)], isIdempotent: true)
        switch try await primary.send(command) {
        case .map(let pair) where pair.count == 2, .array(let pair) where pair.count == 2:
            return try Self.text(pair[1])
        default: throw RedisFactError(.failed("an unexpected reply to CONFIG GET"))
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

    // MARK: Clock and slow log

    /// By how much the server's clock is ahead of ours. A reply is taken to have been made in the middle of its round trip.
    private func clock(of primary: RedisPrimary) async -> Result<Duration, RedisFactError> {
        let asked = await attempt {
            let start = Date().timeIntervalSince1970
            let reply = try await primary.send(.time)
            let end = Date().timeIntervalSince1970
            guard let parts = reply.elements, parts.count == 2, let seconds = parts[0].text.flatMap({ Double($0) }),
                let micros = parts[1].text.flatMap({ Double($0) })
            else { throw RedisFactError(.failed("an unexpected reply to TIME")) }
            return Duration.seconds(seconds + micros / 1e6 - (start + end) / 2)
        }
        guard case .failure(let error) = asked, error.refusal == .notPermitted, !isReadOnly else { return asked }
        return await clockByExpiry()
    }

    /// The same for a user who may not ask for the time: what is left of the life of a key that ends at a given time.
    private func clockByExpiry() async -> Result<Duration, RedisFactError> {
        let key = keys.oneTimeRecord("health-\(UInt64.random(in: 0 ... .max))")
        let hour = 3600.0
        return await attempt {
            let start = Date().timeIntervalSince1970
            let end = Int((start + hour) * 1000)
            _ = try await client.send(
                RedisCommand(
                    "SET", [.text(key), .text("1"), .text("PXAT"), .integer(end)], key: 0, isIdempotent: true))
            let left = try await client.send(.remainingMilliseconds(key)).integer ?? -2
            let now = Date().timeIntervalSince1970
            _ = try await client.send(.getAndDelete(key))
            guard left > 0 else { return .seconds(hour) }
            return .seconds(Double(end - left) / 1000 - now)
        }
    }

    private func slowLog(of primary: RedisPrimary, skew: Duration?) async -> Result<RedisFacts.SlowLog, RedisFactError>
    {
        await attempt {
            let reply = try await primary.send(
                RedisCommand("SLOWLOG", [.text("GET"), .integer(Self.slowEntries)], isIdempotent: true))
            let now = Date().timeIntervalSince1970 + (skew ?? .zero).inSeconds
            return Self.readSlowLog(reply, now: now)
        }
    }

    /// Counts the entries of the last hour. Of a command only its name is taken: its arguments are secrets.
    static func readSlowLog(_ reply: RESPValue, now: Double) -> RedisFacts.SlowLog {
        var log = RedisFacts.SlowLog()
        for entry in reply.elements ?? [] {
            guard let parts = entry.elements, parts.count >= 4, let time = parts[1].integer,
                let micros = parts[2].integer, Double(time) > now - 3600
            else { continue }
            log.count += 1
            guard Duration.microseconds(micros) > log.worst else { continue }
            log.worst = .microseconds(micros)
            let name = parts[3].elements?.first?.text?.uppercased() ?? ""
            log.command = name.utf8.count <= 20 && name.utf8.allSatisfy { (0x41...0x5A).contains($0) } ? name : "?"
        }
        return log
    }

    // MARK: Other databases

    /// Looks for sessions in the server's other databases. On this connection, which nobody else uses; it goes back to its
    /// own database in the same group of commands.
    private func otherDatabases(_ info: RedisInfo) async -> [RedisFacts.OtherDatabase] {
        var found: [RedisFacts.OtherDatabase] = []
        for number in info.databases.filter({ $0 != url.database }).prefix(4) {
            let replies = try? await client.send(contiguous: [
                RedisCommand("SELECT", [.integer(number)], isIdempotent: true),
                .scan(cursor: "0", pattern: keys.sessionPattern, count: 1000),
                RedisCommand("SELECT", [.integer(url.database)], isIdempotent: true),
            ])
            guard let replies, replies[0] == .simpleString("OK"), let parts = replies[1].elements, parts.count == 2,
                let sessions = parts[1].elements?.count, sessions > 0
            else { continue }
            found.append(.init(number: number, sessions: sessions))
        }
        return found
    }

    static func text(_ value: RESPValue) throws -> String {
        switch value {
        case .bulk(let buffer): return String(buffer: buffer)
        case .simpleString(let text): return text
        default: throw RedisFactError(.failed("an unexpected reply"))
        }
    }
}

extension Duration {
    /// In seconds.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
