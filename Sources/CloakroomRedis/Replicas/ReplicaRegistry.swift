import Cloakroom
import CloakroomRedisClient
import NIOCore

/// What a running replica says of itself in Redis.
package struct AnnouncedReplica: Sendable, Equatable {
    /// Tells it from all others; made anew at each start.
    package let id: String
    /// What it says: JSON, of at most ``ReplicaRegistry/maximumSize`` bytes.
    package let record: [UInt8]
    /// How many milliseconds are left of the record's life.
    package let millisecondsLeft: Int
    /// The number of the database that it was found in.
    package var database = 0
    /// The prefix of sessions' keys beside it.
    package var prefix = "session:"

    package init(id: String, record: [UInt8], millisecondsLeft: Int, database: Int = 0, prefix: String = "session:") {
        self.id = id
        self.record = record
        self.millisecondsLeft = millisecondsLeft
        self.database = database
        self.prefix = prefix
    }
}

/// The replicas that use a Redis: a key for each, which ends soon after the replica does, and a list of their IDs, so that
/// nobody has to search all keys.
struct ReplicaRegistry: Sendable {
    /// How long a record lives without being written again.
    static let lifetime = Duration.seconds(60)
    /// The most bytes of a record that are read.
    static let maximumSize = 16_384
    /// The most replicas that are listed.
    private static let maximumCount = 500
    /// How long an ID stays in the list without being written again, by the clocks of the replicas, which may differ.
    private static let listed = 600_000

    let client: RedisClient
    let keys: KeySchema

    /// Writes what a replica says of itself, until ``lifetime`` is over.
    ///
    /// - Parameter now: milliseconds since 1970.
    func announce(_ record: [UInt8], as id: String, now: Int) async throws {
        let replies = try await client.send(pipeline: [
            .set(keys.replica(id), .bytes(record), milliseconds: Self.lifetime.wholeMilliseconds),
            .addToSortedSet(keys.replicaIndex, [(now, id)]),
            .removeFromSortedSet(keys.replicaIndex, maximum: now - Self.listed),
            .expire(keys.replicaIndex, milliseconds: Self.listed),
        ])
        for case .error(let error) in replies { throw error }
    }

    /// Takes it back.
    func withdraw(_ id: String) async throws {
        _ = try await client.send(pipeline: [
            .unlink(keys.replica(id)), .removeFromSortedSet(keys.replicaIndex, [id]),
        ])
    }

    /// All that have announced themselves and run, as far as can be learnt.
    ///
    /// - Parameter database: the one to look in, which is another than the connection's only if `home` is given: the
    ///   connection, which nobody else may use, goes back there in the same group of commands.
    func all(in database: Int, home: Int? = nil) async -> [AnnouncedReplica] {
        let listing = RedisCommand.rangeByScore(
            keys.replicaIndex, minimum: 0, limit: Self.maximumCount, isReversed: true)
        guard let ids = await send([listing], database, home)?.first?.elements?.compactMap(\.text), !ids.isEmpty,
            let replies = await send(
                ids.flatMap { [.get(keys.replica($0)), .remainingMilliseconds(keys.replica($0))] }, database, home)
        else { return [] }
        return zip(ids, stride(from: 0, to: replies.count, by: 2)).compactMap { id, index in
            guard case .bulk(let bytes) = replies[index], bytes.readableBytes <= Self.maximumSize,
                let left = replies[index + 1].integer, left > 0
            else { return nil }
            return AnnouncedReplica(
                id: id, record: Array(bytes.readableBytesView), millisecondsLeft: left, database: database,
                prefix: keys.sessionPrefix)
        }
    }

    private func send(_ commands: [RedisCommand], _ database: Int, _ home: Int?) async -> [RESPValue]? {
        guard let home, home != database else { return try? await client.send(pipeline: commands) }
        let replies = try? await client.send(contiguous: [Self.select(database)] + commands + [Self.select(home)])
        guard let replies, replies.first == .simpleString("OK") else { return nil }
        return Array(replies.dropFirst().dropLast())
    }

    private static func select(_ database: Int) -> RedisCommand {
        RedisCommand("SELECT", [.integer(database)], isIdempotent: true)
    }
}

extension RedisSessionStore {
    /// How long an announcement lasts without being repeated.
    package static var announcementLifetime: Duration { ReplicaRegistry.lifetime }

    /// The IDs of the keys that are in use, the sealing one first.
    package var keyIDs: [String] { codec.keyIDs }

    private var registry: ReplicaRegistry { ReplicaRegistry(client: calls.client, keys: keys) }

    /// Says in Redis that this replica runs and how it is set up; to be repeated well within ``announcementLifetime``.
    ///
    /// - Parameters:
    ///   - record: JSON without any secret.
    ///   - id: unguessable or not, but this process's alone.
    ///   - now: milliseconds since 1970.
    package func announceReplica(_ record: [UInt8], as id: String, now: Int) async throws {
        try await RedisCalls.translatingErrors { try await registry.announce(record, as: id, now: now) }
    }

    /// Takes the announcement back.
    package func withdrawReplica(_ id: String) async throws {
        try await RedisCalls.translatingErrors { try await registry.withdraw(id) }
    }
}
