public import Cloakroom
import CloakroomRedisClient
import NIOCore

import struct Foundation.Date

extension RedisSessionStore: SessionDirectory {
    /// How many sessions one look at an index takes in.
    static let listLimit = 10_000

    // MARK: Lists

    public func sessions(ofUser subject: String) async throws -> [SessionSummary] {
        try await sessions(in: keys.userIndex(subject))
    }

    public func sessions(ofProviderSession sid: String) async throws -> [SessionSummary] {
        try await sessions(in: keys.providerSessionIndex(sid))
    }

    private func sessions(in index: String) async throws -> [SessionSummary] {
        let names = try await self.index.names(in: index, limit: Self.listLimit)
        let looks = try await look(at: names)
        await self.index.heal(index, gone: looks.filter { $0.state == .gone }.map(\.name))
        // A record that was moved is in the index under two names for a moment.
        var handles: Set<SessionHandle> = []
        return looks.reversed().compactMap(\.summary).filter { handles.insert($0.handle).inserted }
            .sorted { $0.createdAt > $1.createdAt }
    }

    public func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        var walk = try await SessionWalk(cursor, client: calls.reader, keys: keys)
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
    public func sessionCount() async throws -> Int {
        var walk = try await SessionWalk(nil, client: calls.reader, keys: keys)
        // A walk may meet a key twice.
        var seen: Set<Int> = []
        while let names = try await walk.next(count: 1000) {
            let lengths = try await calls.readUnchecked(names.map { .length(keys.session($0)) })
            // A tombstone has a length of its own.
            for (name, length) in zip(names, lengths) where length != .number(Int64(RecordCodec.tombstone.count)) {
                seen.insert(name.hashValue)
            }
        }
        return seen.count
    }

    public func sessionCount(ofUser subject: String) async throws -> Int {
        let userIndex = keys.userIndex(subject)
        return try await liveNames(index.names(in: userIndex, limit: Self.listLimit), in: userIndex).count
    }

    /// The names whose sessions are there, in the same order; the others are taken out of the index.
    func liveNames(_ names: [RecordName], in userIndex: String) async throws -> [RecordName] {
        guard !names.isEmpty else { return [] }
        let replies = try await calls.read(names.map { .exists([keys.session($0)]) })
        var live: [RecordName] = []
        var gone: [RecordName] = []
        for (name, reply) in zip(names, replies) {
            if reply == .number(0) { gone.append(name) } else { live.append(name) }
        }
        await index.heal(userIndex, gone: gone)
        return live
    }

    // MARK: Ending

    public func deleteSession(_ handle: SessionHandle, ofUser subject: String?) async throws -> Bool {
        if let subject {
            let userIndex = keys.userIndex(subject)
            let names = try await index.names(in: userIndex, limit: Self.listLimit).filter { $0.handle == handle }
            return try await end(names, in: userIndex) > 0
        }
        var walk = try await SessionWalk(nil, client: calls.reader, keys: keys)
        while let names = try await walk.next(count: 1000) {
            let found = names.filter { $0.handle == handle }
            if !found.isEmpty, try await end(found, in: nil) > 0 { return true }
        }
        return false
    }

    public func deleteSessions(ofUser subject: String, except kept: SessionID?) async throws -> Int {
        try await deleteSessions(in: keys.userIndex(subject), except: kept)
    }

    public func deleteSessions(ofProviderSession sid: String) async throws -> Int {
        try await deleteSessions(in: keys.providerSessionIndex(sid), except: nil)
    }

    private func deleteSessions(in index: String, except kept: SessionID?) async throws -> Int {
        let kept = kept.map { Set(codec.names(for: $0)) } ?? []
        var ended = 0
        while true {
            let names = try await self.index.names(in: index, limit: Self.listLimit)
            let others = names.filter { !kept.contains($0) }
            ended += try await end(others, in: index)
            if names.count < Self.listLimit || others.isEmpty { return ended }
        }
    }

    public func deleteAllSessions() async throws -> Int {
        defer { nearCache?.dropAll() }
        var ended = 0
        var walk = try await SessionWalk(nil, client: calls.reader, keys: keys)
        while let names = try await walk.next(count: 1000) { ended += try await end(names, in: nil) }
        var leftovers = try await SessionWalk(nil, client: calls.reader, keys: keys, pattern: keys.indexPattern)
        while let found = try await leftovers.nextKeys(count: 1000) {
            guard !found.isEmpty else { continue }
            _ = try await calls.write(found.map { ScriptedCommand(.unlink($0)) })
        }
        return ended
    }

    /// Ends the sessions of these names, all in one round trip to each server, and takes them out of the index.
    ///
    /// - Returns: how many there were.
    func end(_ names: [RecordName], in index: String?) async throws -> Int {
        guard !names.isEmpty else { return 0 }
        defer { for name in names { nearCache?.drop(name) } }
        // The sessions first: an index without them does no harm, they without an index would be out of reach.
        let count = try await records.end(names)
        var commands = names.filter(\.isSealed).map { ScriptedCommand(.unlink(keys.summary($0))) }
        if let index { commands.append(ScriptedCommand(.removeFromSortedSet(index, names.map(\.text)))) }
        if !commands.isEmpty { _ = try? await calls.write(commands) }
        return count
    }

    // MARK: Looking

    private struct Look {
        enum State { case live, gone, unreadable }
        let name: RecordName
        let state: State
        let summary: SessionSummary?
    }

    /// What is under these names, in one round trip to each server.
    private func look(at names: [RecordName]) async throws -> [Look] {
        guard !names.isEmpty else { return [] }
        let now = Date()
        // A plain record says all; beside a sealed one lies its summary. A tombstone has a length of its own.
        let commands = names.flatMap { name in
            let key = keys.session(name)
            return [
                RedisCommand.get(name.isSealed ? keys.summary(name) : key), .remainingMilliseconds(key), .length(key),
            ]
        }
        let replies = try await calls.readUnchecked(commands)
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

    private func sealedSummary(_ buffer: ByteBuffer, name: RecordName, life: Int, now: Date) -> SessionSummary? {
        do throws(SessionRecordError) {
            let summary = try buffer.withUnsafeReadableBytes { (raw) throws(SessionRecordError) in
                try codec.decodeSummary(raw, name: name, lastSeenAt: nil)
            }
            return summary.seen(at: lastSeen(summary.expiresAt, life: life, now: now))
        } catch {
            records.unreadable.note(name.handle, "its summary: \(error.description)")
            return nil
        }
    }

    /// When a session was last used, as its key's life tells: a use sets it to the idle timeout. It tells nothing where the
    /// absolute limit has shortened it.
    private func lastSeen(_ expiresAt: Date, life: Int, now: Date) -> Date? {
        guard let idle = policy.idleTimeout?.wholeMilliseconds, life >= 0,
            expiresAt.timeIntervalSince(now) * 1000 > Double(life) + 1000
        else { return nil }
        return min(now, now.addingTimeInterval(Double(life - idle) / 1000))
    }
}

extension SessionSummary {
    fileprivate func seen(at lastSeenAt: Date?) -> SessionSummary {
        SessionSummary(
            handle: handle, subject: subject, userName: userName, providerSessionID: providerSessionID,
            createdAt: createdAt, expiresAt: expiresAt, lastSeenAt: lastSeenAt)
    }
}
