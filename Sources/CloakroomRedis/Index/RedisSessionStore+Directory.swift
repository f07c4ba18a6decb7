public import Cloakroom
import CloakroomRedisClient
import NIOCore

import struct Foundation.Date

extension RedisSessionStore: FullSessionStore {}

extension RedisSessionStore: SessionDirectory {
    /// How many sessions one look at an index takes in.
    static let listLimit = 10_000

    // MARK: Lists

    public func sessions(ofUser user: UserIdentity) async throws -> [SessionSummary] {
        try await sessions(in: .user(policy.resolved(user)))
    }

    public func sessions(ofProviderSession session: ProviderSession) async throws -> [SessionSummary] {
        try await sessions(in: .providerSession(policy.resolved(session)))
    }

    /// What an index is about. What it holds are hints: a session of another issuer that an earlier release has entered is
    /// passed over.
    private enum Subject {
        case user(UserIdentity)
        case providerSession(ProviderSession)

        func includes(_ summary: SessionSummary) -> Bool {
            switch self {
            case .user(let user): summary.user == user
            case .providerSession(let session): summary.providerSession == session
            }
        }
    }

    private func key(of subject: Subject) -> String {
        switch subject {
        case .user(let user): keys.userIndex(user)
        case .providerSession(let session): keys.providerSessionIndex(session)
        }
    }

    private func sessions(in subject: Subject) async throws -> [SessionSummary] {
        let index = key(of: subject)
        let looks = try await look(at: self.index.names(in: index, limit: Self.listLimit))
        await self.index.heal(index, gone: looks.filter { $0.state == .gone }.map(\.name))
        // A record that was moved is in the index under two names for a moment.
        var handles: Set<SessionHandle> = []
        return looks.reversed().compactMap(\.summary)
            .filter { subject.includes($0) && handles.insert($0.handle).inserted }
            .sorted { $0.createdAt > $1.createdAt }
    }

    /// The names in an index whose sessions are what it is about, or can't be read, the oldest first; those that are gone
    /// are taken out of it.
    private func names(in subject: Subject, limit: Int) async throws -> [RecordName] {
        let index = key(of: subject)
        let looks = try await look(at: self.index.names(in: index, limit: limit))
        await self.index.heal(index, gone: looks.filter { $0.state == .gone }.map(\.name))
        return looks.filter { $0.state == .unreadable || $0.summary.map(subject.includes) == true }.map(\.name)
    }

    public func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        var walk = try await SessionWalk(cursor, client: calls.client, keys: keys)
        var names: [RecordName] = []
        // An empty stretch of a large key space must not hold the caller up for long.
        for _ in 0..<16 where names.count < max(1, limit) {
            guard let found = try await walk.next(count: min(max(limit, 10), 1000)) else { break }
            names += found
        }
        return SessionPage(
            sessions: try await look(at: names).compactMap(\.summary).sorted { $0.createdAt > $1.createdAt },
            next: walk.cursor)
    }

    // MARK: Counts

    /// How many sessions there are, by a walk over all keys: some seconds for a million.
    public func sessionCount() async throws -> Int { try await sessionCount { _ in } }

    /// The same.
    ///
    /// - Parameter progress: called with how many were counted so far.
    package func sessionCount(progress: (Int) -> Void) async throws -> Int {
        var walk = try await SessionWalk(nil, client: calls.client, keys: keys)
        // A walk may meet a key twice.
        var seen: Set<Int> = []
        while let names = try await walk.next(count: 1000) {
            let lengths = try await calls.sendUnchecked(names.map { .length(keys.session($0)) })
            // A tombstone has a length of its own.
            for (name, length) in zip(names, lengths) where length != .number(Int64(RecordCodec.tombstone.count)) {
                seen.insert(name.hashValue)
            }
            progress(seen.count)
        }
        return seen.count
    }

    public func sessionCount(ofUser user: UserIdentity) async throws -> Int {
        try await sessions(ofUser: user).count
    }

    /// The names whose sessions are there, in the same order; the others are taken out of the index.
    func liveNames(_ names: [RecordName], in userIndex: String) async throws -> [RecordName] {
        guard !names.isEmpty else { return [] }
        let replies = try await calls.send(names.map { .exists([keys.session($0)]) })
        var live: [RecordName] = []
        var gone: [RecordName] = []
        for (name, reply) in zip(names, replies) {
            if reply == .number(0) { gone.append(name) } else { live.append(name) }
        }
        await index.heal(userIndex, gone: gone)
        return live
    }

    // MARK: Ending

    public func deleteSession(_ handle: SessionHandle, ofUser user: UserIdentity?) async throws -> Bool {
        if let user = user.map(policy.resolved) {
            let index = keys.userIndex(user)
            let named = try await self.index.names(in: index, limit: Self.listLimit).filter { $0.handle == handle }
            let names = try await look(at: named).filter { $0.summary.map { $0.user == user } ?? true }.map(\.name)
            return try await tellingEnds(of: .session(handle), user: user, because: .revokedByUser) { reason, tell in
                let ended = try await end(names, in: index, because: reason)
                tell(ended)
                return ended.count
            } > 0
        }
        return try await tellingEnds(of: .session(handle), because: .revokedByOperator) { reason, tell in
            var walk = try await SessionWalk(nil, client: calls.client, keys: keys)
            while let names = try await walk.next(count: 1000) {
                let found = names.filter { $0.handle == handle }
                guard !found.isEmpty else { continue }
                let ended = try await end(found, in: nil, because: reason)
                tell(ended)
                if !ended.isEmpty { return ended.count }
            }
            return 0
        } > 0
    }

    public func deleteSessions(ofUser user: UserIdentity, except kept: SessionID?) async throws -> Int {
        let user = policy.resolved(user)
        return try await tellingEnds(of: .user(user), user: user, because: .revokedByUser) { reason, tell in
            try await deleteSessions(in: .user(user), except: kept, because: reason, tell)
        }
    }

    public func deleteSessions(ofProviderSession session: ProviderSession) async throws -> Int {
        let session = policy.resolved(session)
        return try await tellingEnds(of: .providerSession(session), because: .revokedByProvider) { reason, tell in
            try await deleteSessions(in: .providerSession(session), except: nil, because: reason, tell)
        }
    }

    private func deleteSessions(
        in subject: Subject, except kept: SessionID?, because reason: SessionEndReason,
        _ tell: ([RecordName]) -> Void
    ) async throws -> Int {
        let kept = kept.map { Set(codec.names(for: $0)) } ?? []
        let index = key(of: subject)
        var count = 0
        while true {
            let names = try await names(in: subject, limit: Self.listLimit)
            let others = names.filter { !kept.contains($0) }
            let ended = try await end(others, in: index, because: reason)
            tell(ended)
            count += ended.count
            if names.count < Self.listLimit || others.isEmpty { return count }
        }
    }

    public func deleteAllSessions() async throws -> Int {
        defer { nearCache?.dropAll() }
        let count = try await tellingEnds(of: .all, because: .revokedByOperator) { reason, tell in
            var count = 0
            var walk = try await SessionWalk(nil, client: calls.client, keys: keys)
            while let names = try await walk.next(count: 1000) {
                let ended = try await end(names, in: nil, because: reason)
                tell(ended)
                count += ended.count
            }
            return count
        }
        var leftovers = try await SessionWalk(nil, client: calls.client, keys: keys, pattern: keys.indexPattern)
        while let found = try await leftovers.nextKeys(count: 1000) {
            guard !found.isEmpty else { continue }
            _ = try await calls.write(found.map { ScriptedCommand(.unlink($0)) })
        }
        return count
    }

    /// Ends the sessions of these names, all in one round trip to each server, and takes them out of the index.
    ///
    /// - Parameter reason: what to note as their reason.
    /// - Returns: those that there were.
    func end(
        _ names: [RecordName], in index: String?, because reason: SessionEndReason
    ) async throws -> [RecordName] {
        guard !names.isEmpty else { return [] }
        defer { for name in names { nearCache?.drop(name) } }
        // The sessions first: an index without them does no harm, they without an index would be out of reach.
        let ended = try await records.end(names, because: reason)
        var commands = endNotes.after(ending: ended, because: reason)
        commands += names.filter(\.isSealed).map { ScriptedCommand(.unlink(keys.summary($0))) }
        if let index { commands.append(ScriptedCommand(.removeFromSortedSet(index, names.map(\.text)))) }
        if !commands.isEmpty { _ = try? await calls.write(commands) }
        return ended
    }

    // MARK: Looking

    struct Look {
        enum State { case live, gone, unreadable }
        let name: RecordName
        let state: State
        let summary: SessionSummary?
    }

    /// What is under these names, in one round trip to each server.
    func look(at names: [RecordName]) async throws -> [Look] {
        guard !names.isEmpty else { return [] }
        let now = Date()
        // A plain record says all; beside a sealed one lies its summary. A tombstone has a length of its own.
        let commands = names.flatMap { name in
            let key = keys.session(name)
            return [
                RedisCommand.get(name.isSealed ? keys.summary(name) : key), .remainingMilliseconds(key), .length(key),
            ]
        }
        let replies = try await calls.sendUnchecked(commands)
        return try names.indices.map { index in
            try look(
                at: names[index], record: replies[3 * index], life: replies[3 * index + 1],
                length: replies[3 * index + 2], now: now)
        }
    }

    private func look(
        at name: RecordName, record: RESPValue, life: RESPValue, length: RESPValue, now: Date
    ) throws -> Look {
        if case .error(let error) = life { throw RedisFailure.storeError(error) }
        guard let life = life.integer, life != -2, length != .number(Int64(RecordCodec.tombstone.count)) else {
            return Look(name: name, state: .gone, summary: nil)
        }
        switch record {
        case .bulk(let buffer):
            let summary: SessionSummary?
            if let id = name.id {
                summary = records.decode(buffer, name: name, id: id).map {
                    SessionSummary(
                        of: $0, handle: name.handle, lastSeenAt: lastSeen($0.expiresAt, life: life, now: now))
                }
            } else {
                summary = sealedSummary(buffer, name: name, life: life, now: now)
            }
            let isLive = summary.map { $0.expiresAt > now } ?? false
            return Look(name: name, state: isLive ? .live : .unreadable, summary: isLive ? summary : nil)
        case .error(let error) where error.kind != .wrongType:
            throw RedisFailure.storeError(error)
        default:
            return Look(name: name, state: .unreadable, summary: nil)
        }
    }

    func sealedSummary(_ buffer: ByteBuffer, name: RecordName, life: Int, now: Date) -> SessionSummary? {
        do throws(SessionRecordError) {
            let summary = try buffer.withUnsafeReadableBytes { (raw) throws(SessionRecordError) in
                try codec.decodeSummary(raw, name: name, lastSeenAt: nil)
            }
            return summary.with(
                lastSeenAt: lastSeen(summary.expiresAt, life: life, now: now), issuer: policy.defaultIssuer)
        } catch {
            records.unreadable.note(name.handle, "its summary: \(error.description)")
            return nil
        }
    }

    /// When a session was last used, as its key's life tells: a use sets it to the idle timeout. It tells nothing where the
    /// absolute limit has shortened it.
    func lastSeen(_ expiresAt: Date, life: Int, now: Date) -> Date? {
        guard let idle = policy.idleTimeout?.wholeMilliseconds, life >= 0,
            expiresAt.timeIntervalSince(now) * 1000 > Double(life) + 1000
        else { return nil }
        return min(now, now.addingTimeInterval(Double(life - idle) / 1000))
    }
}
