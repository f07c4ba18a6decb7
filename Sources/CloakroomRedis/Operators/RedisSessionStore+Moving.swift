package import Cloakroom
import CloakroomRedisClient
import NIOCore

import struct Foundation.Date

/// A session as it is stored, in whatever form, so that it can be kept elsewhere and put back without a loss.
///
/// It holds secrets: the name of a plain record is the session's ID.
package struct StoredSession: Sendable, Equatable {
    /// What lists need of a sealed session, as it is stored beside it.
    package struct Summary: Sendable, Equatable {
        package let record: [UInt8]
        /// When its key ends: at the session's absolute limit, which may be long after the session's own key.
        package let end: Int

        package init(record: [UInt8], end: Int) {
            self.record = record
            self.end = end
        }
    }

    package let name: RecordName
    package let record: [UInt8]
    /// When its key ends, in milliseconds of the Unix time.
    package let end: Int
    /// Beside a sealed record.
    package let summary: Summary?

    package init(name: RecordName, record: [UInt8], end: Int, summary: Summary?) {
        self.name = name
        self.record = record
        self.end = end
        self.summary = summary
    }
}

/// A part of the sessions as they are stored.
package struct StoredSessionPage: Sendable {
    package var sessions: [StoredSession] = []
    /// How many keys hold no record, or one of which nobody can tell when it ends.
    package var skipped = 0
    /// Where to go on; `nil` after the last.
    package var next: SessionPage.Cursor?
}

extension RedisSessionStore {
    /// What session keys begin with; that of a sealed record is bound into it.
    package var sessionKeyPrefix: String { keys.sessionPrefix }

    /// The sessions of the next stretch, as they are stored. Those that were ended are left out.
    ///
    /// - Parameters:
    ///   - cursor: where to go on; `nil` for the beginning.
    ///   - count: about how many keys to look at.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    package func storedSessions(after cursor: SessionPage.Cursor?, count: Int) async throws -> StoredSessionPage {
        var walk = try await SessionWalk(cursor, client: calls.client, keys: keys)
        guard let names = try await walk.next(count: count) else { return StoredSessionPage() }
        let now = SessionIndex.milliseconds(Date())
        let replies = try await calls.sendUnchecked(
            names.flatMap { name -> [RedisCommand] in
                let asked = [keys.session(name)] + (name.isSealed ? [keys.summary(name)] : [])
                return asked.flatMap { [.get($0), .remainingMilliseconds($0)] }
            })
        var page = StoredSessionPage(next: walk.cursor)
        page.sessions.reserveCapacity(names.count)
        var index = 0
        for name in names {
            defer { index += name.isSealed ? 4 : 2 }
            switch (replies[index], replies[index + 1]) {
            case (.error(let error), _) where error.kind != .wrongType: throw RedisFailure.storeError(error)
            // Gone meanwhile.
            case (.null, _), (_, .number(-2)): continue
            case (.bulk(let buffer), .number(let life)):
                let record = Array(buffer.readableBytesView)
                if record == RecordCodec.tombstone { continue }
                let summary = name.isSealed ? Self.summary(replies[index + 2], life: replies[index + 3], now: now) : nil
                guard let end = life > 0 ? now + Int(life) : end(of: record, name, summary) else {
                    page.skipped += 1
                    continue
                }
                page.sessions.append(StoredSession(name: name, record: record, end: end, summary: summary))
            default: page.skipped += 1
            }
        }
        return page
    }

    private static func summary(_ record: RESPValue, life: RESPValue, now: Int) -> StoredSession.Summary? {
        guard case .bulk(let buffer) = record, case .number(let life) = life, life > 0 else { return nil }
        return StoredSession.Summary(record: Array(buffer.readableBytesView), end: now + Int(life))
    }

    /// When a session ends whose key has no TTL, as another program must have written it: at its absolute limit.
    private func end(of record: [UInt8], _ name: RecordName, _ summary: StoredSession.Summary?) -> Int? {
        guard let id = name.id else { return summary?.end }
        let buffer = ByteBuffer(bytes: record)
        return records.decode(buffer, name: name, id: id).map { SessionIndex.milliseconds($0.expiresAt) }
    }

    /// The issuer whose users are in the indexes by their `sub` alone, if these sessions tell: what the gateways have as
    /// `OIDC_ISSUER`.
    ///
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    package func defaultIssuer(seenIn sessions: [StoredSession]) async throws -> String? {
        if let issuer = policy.defaultIssuer { return issuer }
        for session in sessions.prefix(50) {
            guard let user = summary(of: session)?.user, let issuer = user.issuer else { continue }
            let index = keys.userIndex(UserIdentity(issuer: nil, subject: user.subject))
            let place = RedisCommand(
                "ZSCORE", [.text(index), .text(session.name.text)], key: 0, isIdempotent: true)
            if try await calls.send(place) != .null { return issuer }
        }
        return nil
    }

    private func summary(of stored: StoredSession) -> SessionSummary? {
        if let id = stored.name.id {
            return records.decode(ByteBuffer(bytes: stored.record), name: stored.name, id: id).map {
                SessionSummary(of: $0, handle: stored.name.handle, lastSeenAt: nil)
            }
        }
        return stored.summary.flatMap {
            sealedSummary(ByteBuffer(bytes: $0.record), name: stored.name, life: -1, now: Date())
        }
    }
}
