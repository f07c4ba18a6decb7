import Cloakroom
import CloakroomRedisClient
import NIOCore

import struct Foundation.Date

/// What became of a session that was to be put into a store.
package enum StoredSessionOutcome: Sendable, Equatable {
    case stored
    /// Stored, but in no user's list, as it can't be read here.
    case storedUnlisted
    /// There is one of that name already.
    case alreadyThere
    /// This store remembers that it was ended.
    case wasEnded
    /// Its time is over.
    case isOver
    /// It is no session, or none that this store would read, and was not stored.
    case refused(reason: String)
}

extension RedisSessionStore {
    /// A session that may be stored.
    private struct Candidate {
        let index: Int
        let session: StoredSession
        /// When its key is to end.
        let end: Int
        /// What lists show; `nil` if it can't be read here.
        let summary: SessionSummary?
    }

    /// Puts sessions into the store as they are. One that is there, or has been ended, stays as it is; if an earlier call was
    /// cut short, what it left out of the lists is entered now.
    ///
    /// - Parameter isTrial: to say what would become of them, without a look at the store.
    /// - Returns: what became of each, in the same order.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it; it may be called again with the same.
    package func take(_ sessions: [StoredSession], isTrial: Bool = false) async throws -> [StoredSessionOutcome] {
        let now = Date()
        let present = SessionIndex.milliseconds(now)
        var outcomes = [StoredSessionOutcome](repeating: .isOver, count: sessions.count)
        var candidates: [Candidate] = []
        for (index, session) in sessions.enumerated() where session.end > present {
            do throws(SessionRecordError) {
                guard let candidate = try candidate(index, session) else { continue }
                guard candidate.end > present else { continue }
                candidates.append(candidate)
                outcomes[index] = candidate.summary == nil ? .storedUnlisted : .stored
            } catch {
                outcomes[index] = .refused(reason: error.description)
            }
        }
        guard !isTrial, !candidates.isEmpty else { return outcomes }
        candidates = try await withoutOtherForms(candidates, &outcomes)
        let replies = try await calls.writeDurably(
            candidates.map { candidate in
                ScriptedCommand(
                    .takeOver(
                        keys.session(candidate.session.name), .bytes(candidate.session.record),
                        milliseconds: candidate.end - present))
            })
        var taken: [Candidate] = []
        var others: [Candidate] = []
        for (candidate, reply) in zip(candidates, replies) {
            if reply == .simpleString("OK") { taken.append(candidate) } else { others.append(candidate) }
        }
        let lengths = try await calls.sendUnchecked(others.map { .length(keys.session($0.session.name)) })
        var listed: [Candidate] = []
        for (other, length) in zip(others, lengths) {
            let wasEnded = length == .number(Int64(RecordCodec.tombstone.count))
            outcomes[other.index] = wasEnded ? .wasEnded : .alreadyThere
            if !wasEnded { listed.append(other) }
        }
        try await list(taken, isNew: true, at: now)
        try await list(listed, isNew: false, at: now)
        return outcomes
    }

    /// - Returns: `nil` for the mark of a session that was ended, which is nothing to take over.
    /// - Throws: what is wrong with it.
    private func candidate(_ index: Int, _ session: StoredSession) throws(SessionRecordError) -> Candidate? {
        if session.record == RecordCodec.tombstone { return nil }
        guard let id = session.name.id else {
            guard case .sealed = RecordForm(prefix: Array(session.record.prefix(RecordForm.prefixLength))) else {
                throw SessionRecordError("not sealed, under a sealed one's name")
            }
            let summary = session.summary.flatMap {
                sealedSummary(ByteBuffer(bytes: $0.record), name: session.name, life: -1, now: Date())
            }
            return Candidate(index: index, session: session, end: session.end, summary: summary)
        }
        guard case .session(var plain) = try codec.decode(session.record, id: id, key: keys.session(session.name))
        else {
            return nil
        }
        plain.issuer = plain.issuer ?? policy.defaultIssuer
        return Candidate(
            index: index, session: session, end: min(session.end, SessionIndex.milliseconds(plain.expiresAt)),
            summary: SessionSummary(of: plain, handle: id.handle, lastSeenAt: nil))
    }

    /// Those of which there is no sealed record or tombstone, where there may be any.
    private func withoutOtherForms(
        _ candidates: [Candidate], _ outcomes: inout [StoredSessionOutcome]
    ) async throws -> [Candidate] {
        guard codec.opensSealed else { return candidates }
        let plain = candidates.compactMap { candidate in candidate.session.name.id.map { (candidate, $0) } }
        guard !plain.isEmpty else { return candidates }
        let lengths = try await calls.send(plain.map { .length(keys.session(.sealed($0.1))) })
        var there: Set<Int> = []
        for ((candidate, _), length) in zip(plain, lengths) where length != .number(0) {
            there.insert(candidate.index)
            let wasEnded = length == .number(Int64(RecordCodec.tombstone.count))
            outcomes[candidate.index] = wasEnded ? .wasEnded : .alreadyThere
        }
        return candidates.filter { !there.contains($0.index) }
    }

    // MARK: Lists

    /// Enters sessions into the lists.
    ///
    /// - Parameter isNew: whether they were stored just now; what lists show of others stays if it is there.
    private func list(_ candidates: [Candidate], isNew: Bool, at now: Date) async throws {
        guard !candidates.isEmpty else { return }
        let present = SessionIndex.milliseconds(now)
        let summaries = candidates.compactMap { candidate -> ScriptedCommand? in
            guard let summary = candidate.session.summary else { return nil }
            let key = keys.summary(candidate.session.name)
            let life = max(summary.end, candidate.end) - present
            return ScriptedCommand(
                isNew
                    ? .set(key, .bytes(summary.record), milliseconds: life)
                    : .takeOver(key, .bytes(summary.record), milliseconds: life))
        }
        let entries = candidates.flatMap { candidate -> [IndexEntry] in
            guard let summary = candidate.summary else { return [] }
            let indexes = [summary.user.map(keys.userIndex), summary.providerSession.map(keys.providerSessionIndex)]
            return indexes.compactMap { $0 }.map {
                IndexEntry(
                    index: $0, member: candidate.session.name.text,
                    score: SessionIndex.milliseconds(summary.expiresAt))
            }
        }
        if !summaries.isEmpty { _ = try await calls.write(summaries) }
        try await index.enter(entries, now: present)
    }
}

extension RedisCommand {
    /// `SET key value PX milliseconds NX`, where it does not matter whose value it is that stays: sent again, it finds its
    /// own.
    fileprivate static func takeOver(_ key: String, _ value: Argument, milliseconds: Int) -> RedisCommand {
        RedisCommand(
            "SET", [.text(key), value, .text("PX"), .integer(max(1, milliseconds)), .text("NX")], key: 0,
            isIdempotent: true)
    }
}
