package import Cloakroom
import CloakroomRedisClient
import NIOCore

import struct Foundation.Date

/// A session as it is stored, in whatever form, so that it can be kept elsewhere and put back without a loss.
///
/// It holds secrets: the name of a plain record is the session's ID.
package struct StoredSession: Sendable, Equatable {
    package let name: RecordName
    package let record: [UInt8]
    /// When its key ends, in milliseconds of the Unix time.
    package let end: Int
    /// What lists need, beside a sealed record.
    package let summary: [UInt8]?

    package init(name: RecordName, record: [UInt8], end: Int, summary: [UInt8]?) {
        self.name = name
        self.record = record
        self.end = end
        self.summary = summary
    }
}

/// What became of a session that was to be put into a store.
package enum StoredSessionOutcome: Sendable, Equatable {
    case stored
    /// There is one of that name, or one that was ended.
    case alreadyThere
    /// Its time was over.
    case ended
    /// Stored, but in no user's list, as it can't be read here.
    case storedUnlisted
}

extension RedisSessionStore {
    /// What session keys begin with; that of a sealed record is bound into it.
    package var sessionKeyPrefix: String { keys.sessionPrefix }

    /// The sessions of the next stretch, as they are stored.
    ///
    /// - Parameters:
    ///   - cursor: where to go on; `nil` for the beginning.
    ///   - count: about how many to give.
    /// - Returns: the sessions, how many records could not be taken, as they are of another type, and where to go on, `nil` at
    ///   the end.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    package func storedSessions(
        after cursor: SessionPage.Cursor?, count: Int
    ) async throws -> (sessions: [StoredSession], skipped: Int, next: SessionPage.Cursor?) {
        var walk = try await SessionWalk(cursor, client: calls.client, keys: keys)
        guard let names = try await walk.next(count: count) else { return ([], 0, nil) }
        let now = SessionIndex.milliseconds(Date())
        let replies = try await calls.sendUnchecked(
            names.flatMap { name -> [RedisCommand] in
                let key = keys.session(name)
                return [.get(key), .remainingMilliseconds(key)] + (name.isSealed ? [.get(keys.summary(name))] : [])
            })
        var sessions: [StoredSession] = []
        sessions.reserveCapacity(names.count)
        var skipped = 0
        var index = 0
        for name in names {
            let (record, life) = (replies[index], replies[index + 1])
            let summary = name.isSealed ? replies[index + 2] : .null
            index += name.isSealed ? 3 : 2
            switch (record, life) {
            case (.error(let error), _) where error.kind != .wrongType: throw RedisFailure.storeError(error)
            // Gone meanwhile.
            case (.null, _): continue
            case (.bulk(let buffer), .number(let life)) where life > 0:
                sessions.append(
                    StoredSession(
                        name: name, record: Array(buffer.readableBytesView), end: now + Int(life),
                        summary: summary.bytes))
            default: skipped += 1
            }
        }
        return (sessions, skipped, walk.cursor)
    }

    /// Puts sessions into the store as they are. One that is there, or has been ended, stays as it is.
    ///
    /// - Returns: what became of each, in the same order.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it; it may be called again with the same.
    package func store(_ sessions: [StoredSession]) async throws -> [StoredSessionOutcome] {
        let now = Date()
        let present = SessionIndex.milliseconds(now)
        var outcomes = [StoredSessionOutcome](repeating: .ended, count: sessions.count)
        let alive = sessions.indices.filter { sessions[$0].end > present }
        guard !alive.isEmpty else { return outcomes }
        let replies = try await calls.writeDurably(
            alive.map { index in
                let session = sessions[index]
                return ScriptedCommand(
                    .setIfAbsent(
                        keys.session(session.name), .bytes(session.record), milliseconds: session.end - present))
            })
        var entries: [ScriptedCommand] = []
        for (index, reply) in zip(alive, replies) {
            let session = sessions[index]
            guard reply == .simpleString("OK") else {
                outcomes[index] = .alreadyThere
                continue
            }
            guard session.record != RecordCodec.tombstone else {
                outcomes[index] = .stored
                continue
            }
            if let summary = session.summary {
                entries.append(
                    ScriptedCommand(
                        .set(keys.summary(session.name), .bytes(summary), milliseconds: session.end - present)))
            }
            let subjects = subjects(of: session, at: now)
            outcomes[index] = subjects == nil ? .storedUnlisted : .stored
            guard let (indexes, score) = subjects else { continue }
            for key in indexes {
                entries.append(
                    RedisScript.index.command(
                        [key],
                        [
                            .text(""), .text(""), .text(session.name.text), .integer(score), .integer(present),
                            .text("NX"),
                        ]))
            }
        }
        if !entries.isEmpty { _ = try await calls.write(entries) }
        return outcomes
    }

    /// The indexes that a stored session belongs in, and its place there; `nil` if it can't be read.
    private func subjects(of stored: StoredSession, at now: Date) -> (indexes: [String], score: Int)? {
        if let id = stored.name.id {
            guard let session = records.decode(ByteBuffer(bytes: stored.record), name: stored.name, id: id) else {
                return nil
            }
            return (index.indexes(of: session), SessionIndex.score(of: session, at: now, isNew: false))
        }
        guard let bytes = stored.summary,
            let summary = sealedSummary(ByteBuffer(bytes: bytes), name: stored.name, life: -1, now: now)
        else { return nil }
        let keys = [summary.user.map(keys.userIndex), summary.providerSession.map(keys.providerSessionIndex)]
        return (keys.compactMap { $0 }, SessionIndex.milliseconds(summary.expiresAt))
    }
}

extension RESPValue {
    fileprivate var bytes: [UInt8]? {
        if case .bulk(let buffer) = self { Array(buffer.readableBytesView) } else { nil }
    }
}
