import Cloakroom
import CloakroomRedisClient

import struct Foundation.Date

/// A session's place in an index.
struct IndexEntry: Sendable {
    let index: String
    /// The name of its record.
    let member: String
    /// When it ends at the latest, in milliseconds of the Unix time.
    let score: Int
}

/// Which sessions a user has, and which began within one session at the identity provider: sorted sets of record names,
/// scored by when each session ends at the latest, to the millisecond: the oldest session has the lowest score.
///
/// An index is a hint: the session's own key alone decides whether it is live. A session is entered after it was stored and
/// forgotten after it was ended, so that an entry without a session is always a leftover, which readers remove.
struct SessionIndex: Sendable {
    let calls: RedisCalls
    let keys: KeySchema

    /// The indexes that a session belongs in.
    func indexes(of session: Session) -> [String] {
        [session.user.map(keys.userIndex), session.providerSession.map(keys.providerSessionIndex)].compactMap { $0 }
    }

    /// The commands that enter a session; in a cluster one for each index.
    ///
    /// - Parameter keepingPlace: whether a session that is in an index already keeps its place there.
    func entering(
        _ name: RecordName, _ session: Session, at now: Date, isNew: Bool = false, keepingPlace: Bool = false
    ) -> [ScriptedCommand] {
        let how = keepingPlace ? "NX" : ""
        let arguments = Self.arguments(name, session, at: now, isNew: isNew)
        let indexes = indexes(of: session)
        guard !indexes.isEmpty else { return [] }
        let groups = calls.isCluster ? indexes.map { [$0] } : [indexes]
        return groups.map { RedisScript.index.command($0, [.text(""), .text("")] + arguments + [.text(how)]) }
    }

    /// A session's name, its end and the present, as scripts want them.
    static func arguments(
        _ name: RecordName, _ session: Session, at now: Date, isNew: Bool
    ) -> [RedisCommand.Argument] {
        [.text(name.text), .integer(score(of: session, at: now, isNew: isNew)), .integer(milliseconds(now))]
    }

    /// When a session ends at the latest, in milliseconds of the Unix time.
    ///
    /// - Parameter isNew: whether the session begins now. Its times are cut to whole seconds; what was cut off gives logins
    ///   their order.
    static func score(of session: Session, at now: Date, isNew: Bool) -> Int {
        let age = now.timeIntervalSince(session.createdAt)
        return milliseconds(session.expiresAt.addingTimeInterval(isNew && (0..<1).contains(age) ? age : 0))
    }

    /// The commands that forget a session that has ended.
    ///
    /// - Parameter session: what it was; `nil` where its record could not be read: then the indexes keep an entry that
    ///   readers remove.
    func forgetting(_ name: RecordName, _ session: Session?) -> [ScriptedCommand] {
        (session.map(indexes) ?? []).map { ScriptedCommand(.removeFromSortedSet($0, [name.text])) }
            + (name.isSealed ? [ScriptedCommand(.unlink(keys.summary(name)))] : [])
    }

    /// The names in an index whose sessions have not reached their ends, the oldest first.
    ///
    /// - Parameter limit: how many at most.
    func names(in index: String, limit: Int) async throws -> [RecordName] {
        let reply = try await calls.send(
            .rangeByScore(index, minimum: Self.milliseconds(Date()), limit: limit))
        guard let elements = reply.elements else {
            throw SessionStoreError(.rejected, reason: "an unexpected reply to ZRANGEBYSCORE")
        }
        return elements.compactMap { $0.text.flatMap { RecordName($0) } }
    }

    /// Forgets entries whose sessions are gone. A failure harms nothing: the next reader tries again.
    func heal(_ index: String, gone names: [RecordName]) async {
        guard !names.isEmpty else { return }
        let members = names.map(\.text)
        if calls.isCluster {
            _ = try? await calls.write(ScriptedCommand(.removeFromSortedSet(index, members)))
        } else {
            // Looks again as it removes: a session of the same name may have been taken over meanwhile.
            _ = try? await calls.write(
                RedisScript.heal.command([index] + names.map(keys.session), members.map { .text($0) }))
        }
    }

    /// Enters sessions that keep a place that they have, by plain commands, which cost the server a third of what a script does.
    /// Before Redis 7.0 a script does it.
    ///
    /// - Parameter now: in milliseconds of the Unix time.
    func enter(_ entries: [IndexEntry], now: Int) async throws {
        guard !entries.isEmpty else { return }
        let commands = entries.flatMap { entry -> [RedisCommand] in
            let life = max(1, entry.score - now)
            return [
                RedisCommand(
                    "ZADD", [.text(entry.index), .text("NX"), .integer(entry.score), .text(entry.member)], key: 0,
                    isIdempotent: true),
                // Lasts as long as the longest session in it.
                .expire(entry.index, milliseconds: life, only: "NX"),
                .expire(entry.index, milliseconds: life, only: "GT"),
            ]
        }
        let replies = try await calls.sendUnchecked(commands)
        var error: RedisServerError?
        for case .error(let refusal) in replies { error = refusal }
        guard let error else { return }
        guard CreateTransaction.means(error.kind) else { throw RedisFailure.storeError(error, mayBeInPart: true) }
        _ = try await calls.write(
            entries.map { entry in
                RedisScript.index.command(
                    [entry.index],
                    [
                        .text(""), .text(""), .text(entry.member), .integer(entry.score), .integer(now), .text("NX"),
                    ])
            })
    }

    static func milliseconds(_ date: Date) -> Int { Int(date.timeIntervalSince1970 * 1000) }
}
