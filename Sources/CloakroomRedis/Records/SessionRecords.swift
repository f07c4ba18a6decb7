import Cloakroom
import CloakroomRedisClient
import NIOCore

import struct Foundation.Date

/// The records of single sessions: reading them in whichever form they are, and changing each in one step on the server.
struct SessionRecords: Sendable {
    /// A live session as it was read.
    struct Found: Sendable {
        let session: Session
        let name: RecordName
        let record: ByteBuffer
        /// What is left of the key's life in milliseconds, if there is an idle limit.
        let timeToLive: Int?
    }

    enum Replacement: Sendable { case replaced, gone, changed }

    let calls: RedisCalls
    let keys: KeySchema
    let policy: SessionPolicy
    /// As the settings say.
    let codec: RecordCodec
    /// For records whose names are sealed already, whatever the settings say of new ones.
    let sealingCodec: RecordCodec
    let unreadable: UnreadableRecords
    let endNotes: RedisEndNotes

    // MARK: Reading

    /// The live session, in one round trip unless its record is not under the likelier of two names.
    ///
    /// - Parameter names: where its record may be, as the codec says.
    nonisolated(nonsending) func read(_ id: SessionID, names: [RecordName]) async throws -> Found? {
        if let fetched = try await fetch(names.prefix(1), of: id) { return found(fetched, id: id) }
        guard names.count > 1 else { return nil }
        // Records move from the plain name to the sealed one alone: in this order none is missed on its way.
        let others = names.sorted { !$0.isSealed && $1.isSealed }.drop { $0 == names[0] }
        return try await fetch(others, of: id).flatMap { found($0, id: id) }
    }

    nonisolated(nonsending) func read(_ id: SessionID) async throws -> Found? {
        try await read(id, names: codec.names(for: id))
    }

    private struct Fetched {
        let name: RecordName
        let key: String
        let record: ByteBuffer
        let timeToLive: Int?
    }

    private func found(_ fetched: Fetched, id: SessionID) -> Found? {
        // Redis may be a moment late, and a TTL that another program wrote may be too long.
        guard let session = decode(fetched.record, key: fetched.key, id: id), !session.isExpired(at: Date()) else {
            return nil
        }
        return Found(session: session, name: fetched.name, record: fetched.record, timeToLive: fetched.timeToLive)
    }

    /// The session of a record; `nil` for a tombstone, and for what is no session, which is noted.
    func decode(_ record: ByteBuffer, name: RecordName, id: SessionID) -> Session? {
        decode(record, key: keys.session(name), id: id)
    }

    private func decode(_ record: ByteBuffer, key: String, id: SessionID) -> Session? {
        do throws(SessionRecordError) {
            let content = try record.withUnsafeReadableBytes { (raw) throws(SessionRecordError) in
                try codec.decode(raw, id: id, key: key)
            }
            guard case .session(var session) = content else { return nil }
            session.issuer = session.issuer ?? policy.defaultIssuer
            return session
        } catch {
            unreadable.note(id.handle, error.description)
        }
        return nil
    }

    /// The first record that there is under these names and what is left of its key's life, in one round trip.
    private nonisolated(nonsending) func fetch(_ names: some Collection<RecordName>, of id: SessionID) async throws
        -> Fetched?
    {
        do {
            // Nearly all reads are of one name without an idle limit, and need no arrays.
            if names.count == 1, let name = names.first, policy.idleTimeout == nil {
                let key = keys.session(name)
                return try bytes(await calls.client.send(.get(key)), of: id).map {
                    Fetched(name: name, key: key, record: $0, timeToLive: nil)
                }
            }
            let asksForLife = policy.idleTimeout != nil
            let commands = names.map(keys.session).flatMap { key in
                asksForLife ? [RedisCommand.get(key), .remainingMilliseconds(key)] : [.get(key)]
            }
            var replies = try await calls.client.send(pipeline: commands)[...]
            for name in names {
                let reply = replies.removeFirst()
                let life = asksForLife ? replies.removeFirst() : nil
                guard let record = try bytes(reply, of: id) else { continue }
                return Fetched(
                    name: name, key: keys.session(name), record: record, timeToLive: try life.map(Self.timeToLive))
            }
            return nil
        } catch let error as RedisServerError where error.kind == .wrongType {
            unreadable.note(id.handle, "the key holds another type than a string")
            return nil
        } catch {
            throw RedisFailure.storeError(error)
        }
    }

    private static func timeToLive(_ reply: RESPValue) throws -> Int {
        switch reply {
        case .number(let timeToLive): return Int(timeToLive)
        case .error(let error): throw error
        default: throw RedisClientError(.protocolViolation, reason: "an unexpected reply to PTTL")
        }
    }

    private func bytes(_ reply: RESPValue, of id: SessionID) throws -> ByteBuffer? {
        switch reply {
        case .bulk(let buffer): return buffer
        case .null: return nil
        case .error(let error): throw error
        case .oversized(let bytes):
            unreadable.note(id.handle, "\(bytes) bytes long")
            return nil
        default: throw RedisClientError(.protocolViolation, reason: "an unexpected reply to GET")
        }
    }

    // MARK: Writing

    /// Replaces a record if it is still what was read. A plain one becomes a sealed one on the way if the settings say so.
    ///
    /// In a cluster the record then stays under its old key, as no step there spans two.
    ///
    /// - Parameters:
    ///   - index: what the session is entered into, as other programs' sessions are in no index, and a failover may have
    ///     lost an entry.
    ///   - also: what to send along in the same round trip.
    func replace(
        _ found: Found, of id: SessionID, with session: Session, at now: Date, index: SessionIndex,
        also: (RecordName) -> [ScriptedCommand]
    ) async throws -> Replacement {
        let name = found.name.isSealed || calls.isCluster ? found.name : codec.name(for: id)
        let key = keys.session(name)
        let record = try (name.isSealed ? sealingCodec : codec).encode(session, id: id, key: key)
        let touched = name == found.name ? [key] : [keys.session(found.name), key]
        let script = name == found.name ? RedisScript.replace : .move
        // Sent twice it finds the record changed, by itself: the next attempt then reads it and writes the same again.
        let change = script.command(
            touched + (calls.isCluster ? [] : index.indexes(of: session)),
            [.buffer(found.record), .bytes(record)] + SessionIndex.arguments(name, session, at: now, isNew: false)
                + [.text("NX"), .integer(absoluteLife(of: session, at: now))])
        let further =
            (calls.isCluster ? index.entering(name, session, at: now, keepingPlace: true) : []) + also(name)
        switch try await calls.writeDurably([change] + further)[0] {
        case .number(1): return .replaced
        case .number(0): return .gone
        case .number(2): return .changed
        default: throw SessionStoreError(.rejected, reason: "an unexpected reply to a script")
        }
    }

    /// Notes that a session is in use: its key lives on for the idle timeout, but never beyond the absolute limit.
    ///
    /// - Returns: `false` when the session is gone.
    func touch(_ name: RecordName, _ session: Session, at now: Date) async throws -> Bool {
        let reply = try await calls.write(
            RedisScript.touch.command(
                [keys.session(name)],
                [.integer(timeToLive(of: session, at: now)), .bytes(RecordCodec.tombstone)]))
        return reply != .number(0)
    }

    /// Ends a session under whichever name it is, in one round trip.
    ///
    /// - Parameters:
    ///   - tombstoneLife: how long to remember, in milliseconds, that it has ended; `nil` for not at all.
    ///   - reason: what to note as its reason; `nil` for nothing.
    /// - Returns: the name of what was there, and the session, if it could be read.
    func end(
        _ id: SessionID, tombstoneLife: Int? = nil, because reason: SessionEndReason?
    ) async throws -> [(name: RecordName, session: Session?)] {
        // In this order: a record that is just being moved from the plain name to the sealed one is met at one of them.
        let names = codec.names(for: id).sorted { !$0.isSealed && $1.isSealed }
        let replies = try await calls.writeDurably(
            names.map { ending($0, tombstoneLife: tombstoneLife, answer: "record") },
            after: endNotes.before(ending: names, because: reason))
        return zip(names, replies).compactMap { name, reply in
            switch reply {
            case .bulk(let record): (name, decode(record, name: name, id: id))
            case .oversized: (name, nil)
            default: nil
            }
        }
    }

    /// Ends a session if its record is still what was read.
    func end(_ found: Found) async throws -> Replacement {
        let command = RedisScript.endIfUnchanged.command([keys.session(found.name)], [.buffer(found.record)])
        switch try await calls.writeDurably([command])[0] {
        case .number(1): return .replaced
        case .number(0): return .gone
        case .number(2): return .changed
        default: throw SessionStoreError(.rejected, reason: "an unexpected reply to a script")
        }
    }

    /// Ends the sessions of these names, all in one round trip to each server.
    ///
    /// - Parameter reason: what to note as their reason.
    /// - Returns: those that there were.
    func end(_ names: [RecordName], because reason: SessionEndReason) async throws -> [RecordName] {
        let replies = try await calls.writeDurably(
            names.map { ending($0, tombstoneLife: nil, answer: "count") },
            after: endNotes.before(ending: names, because: reason))
        return zip(names, replies).filter { $0.1.integer ?? 0 > 0 }.map(\.0)
    }

    /// Sent twice it finds nothing, and then the indexes keep an entry that readers remove.
    private func ending(_ name: RecordName, tombstoneLife: Int?, answer: String) -> ScriptedCommand {
        RedisScript.end.command(
            [keys.session(name)], [.bytes(RecordCodec.tombstone), .integer(tombstoneLife ?? 0), .text(answer)])
    }

    // MARK: Times

    /// How long a session's key may live from now on, in milliseconds.
    func timeToLive(of session: Session, at now: Date) -> Int {
        let absolute = absoluteLife(of: session, at: now)
        return min(absolute, policy.idleTimeout?.wholeMilliseconds ?? absolute)
    }

    /// What is left until the session's absolute end, in milliseconds.
    func absoluteLife(of session: Session, at now: Date) -> Int {
        max(1, Int(session.expiresAt.timeIntervalSince(now) * 1000))
    }
}

extension Duration {
    /// From none to a thousand years, so that no sum with it can overflow.
    var wholeMilliseconds: Int {
        let bounded = Swift.min(Swift.max(self, .zero), .seconds(1000 * 366 * 86_400)).components
        return Int(bounded.seconds) * 1000 + Int(bounded.attoseconds / 1_000_000_000_000_000)
    }
}
