public import Cloakroom
import CloakroomRedisClient
public import Logging
import NIOCore
public import ServiceLifecycle

import struct Foundation.Date

/// Sessions in Redis, shared by every replica, in the plain form: see ``PlainRecord`` and `redis-cli GET session:…`.
///
/// - A read is one round trip; a refresh is two: the record is read, and replaced only if it is still what was read, with
///   its TTL kept. So a logout that comes between wins, and no key ever lacks a TTL.
/// - What is stored under a session's key but is no session is treated as absent, logged once, counted, and left in place.
/// - A Redis that can't be reached or refuses makes every call throw ``SessionStoreError``: never "no session".
///
/// ``run()`` keeps the connection and must run for as long as the store is used.
public final class RedisSessionStore: SessionStore, OneTimeRecordStore, Service {
    /// How often a refresh tries again when others change the same session at the same time.
    private static let refreshAttempts = 64

    private let client: RedisClient
    private let keys: KeySchema
    private let policy: SessionPolicy
    private let unreadable: UnreadableRecords

    /// Makes a store; nothing is connected before ``run()``.
    public init(configuration: RedisStoreConfiguration, policy: SessionPolicy = SessionPolicy(), logger: Logger) {
        var clientConfiguration = RedisClientConfiguration(url: configuration.url.address)
        clientConfiguration.commandTimeout = configuration.commandTimeout
        // What can't be a session need not be held to find that out.
        clientConfiguration.limits.bulkSize = PlainRecord.maximumSize
        self.client = RedisClient(configuration: clientConfiguration, logger: logger)
        self.keys = KeySchema(sessionPrefix: configuration.keyPrefix)
        self.policy = policy
        self.unreadable = UnreadableRecords(logger: logger)
    }

    /// Connects to Redis, again whenever the connection is lost, until the service is asked to stop; calls that are under
    /// way then are finished first.
    public func run() async throws {
        await withGracefulShutdownHandler {
            await client.run()
        } onGracefulShutdown: {
            self.client.shutDown()
        }
    }

    /// Executors on the threads of the store's connections. A task that runs on one of them, by
    /// `withTaskExecutorPreference(_:)`, reads sessions without waking another thread; it must not block.
    public var taskExecutors: [any TaskExecutor] { client.taskExecutors }

    public func createSession(tokens: TokenSet, userInfo: UserInfo) async throws -> SessionID {
        let id = SessionID()
        let now = Date()
        let session = Session(beginningAt: now, policy: policy, tokens: tokens, userInfo: userInfo)
        let record = PlainRecord.encode(session)
        try Self.checkSize(record.count)
        let key = keys.session(id)
        try await write(.set(key, .bytes(record), milliseconds: timeToLive(of: session, at: now)))
        return id
    }

    public func session(for id: SessionID) async throws -> Session? {
        guard let (session, _, timeToLive) = try await read(id) else { return nil }
        if let timeToLive { await touch(id, session, timeToLive: timeToLive, at: Date()) }
        return session
    }

    public func deleteSession(_ id: SessionID) async throws {
        _ = try await call { try await self.client.send(.unlink(self.keys.session(id))) }
    }

    public func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        for _ in 0..<Self.refreshAttempts {
            // No use of the session: only the user's own requests keep it beyond the idle limit.
            guard let (session, record, _) = try await read(id) else { return nil }
            let now = Date()
            let refreshed = session.refreshed(with: tokens, at: now)
            switch try await replace(record, of: id, with: refreshed, at: now) {
            case .replaced: return refreshed
            case .gone: return nil
            case .changed: continue
            }
        }
        throw SessionStoreError(.unavailable, reason: "the session was changed by others all the time")
    }

    public func ping() async throws {
        _ = try await call { try await self.client.send(.ping) }
    }

    // MARK: One-time records

    public func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try OneTimeRecords.checkSize(record)
        let name = keys.oneTimeRecord(key)
        try await write(.set(name, .bytes(record), milliseconds: max(1, lifetime.wholeMilliseconds)))
    }

    public func takeRecord(key: String) async throws -> [UInt8]? {
        let name = keys.oneTimeRecord(key)
        switch try await call({ try await self.client.send(.getAndDelete(name)) }) {
        case .bulk(let buffer): return Array(buffer.readableBytesView)
        case .null: return nil
        default: throw SessionStoreError(.rejected, reason: "an unexpected reply to GETDEL")
        }
    }

    // MARK: Reading

    /// The live session, its record and, if there is an idle limit, what is left of the key's life in milliseconds.
    private func read(_ id: SessionID) async throws -> (session: Session, record: ByteBuffer, timeToLive: Int?)? {
        guard let (record, timeToLive) = try await fetch(id) else { return nil }
        let session: Session
        do throws(SessionRecordError) {
            session = try record.withUnsafeReadableBytes { (raw) throws(SessionRecordError) in
                try PlainRecord.decode(raw)
            }
        } catch {
            unreadable.note(id, error.description)
            return nil
        }
        // Redis may be a moment late, and a TTL that another program wrote may be too long.
        guard !session.isExpired(at: Date()) else { return nil }
        return (session, record, timeToLive)
    }

    /// The record and what is left of the key's life, in one round trip.
    private func fetch(_ id: SessionID) async throws -> (record: ByteBuffer, timeToLive: Int?)? {
        let key = keys.session(id)
        do {
            guard policy.idleTimeout != nil else {
                return try bytes(await client.send(.get(key)), of: id).map { ($0, nil) }
            }
            let replies = try await client.send(pipeline: [.get(key), .remainingMilliseconds(key)])
            guard let record = try bytes(replies[0], of: id) else { return nil }
            switch replies[1] {
            case .number(let timeToLive): return (record, Int(timeToLive))
            case .error(let error): throw error
            default: throw RedisClientError(.protocolViolation, reason: "an unexpected reply to PTTL")
            }
        } catch let error as RedisServerError where error.kind == .wrongType {
            unreadable.note(id, "the key holds another type than a string")
            return nil
        } catch {
            throw RedisFailure.storeError(error)
        }
    }

    /// Notes that a session is in use: its key lives on for the idle timeout, but never beyond the absolute limit.
    ///
    /// Within a tenth of the idle timeout of the last note it does nothing. A failure harms nothing: the session is live,
    /// and the next use tries again.
    private func touch(_ id: SessionID, _ session: Session, timeToLive: Int, at now: Date) async {
        guard let interval = policy.touchInterval else { return }
        let wanted = self.timeToLive(of: session, at: now)
        // Not the difference of the two: what a server answers may overflow it.
        guard timeToLive <= wanted - interval.wholeMilliseconds else { return }
        _ = try? await client.send(.expire(keys.session(id), milliseconds: wanted))
    }

    private func bytes(_ reply: RESPValue, of id: SessionID) throws -> ByteBuffer? {
        switch reply {
        case .bulk(let buffer): return buffer
        case .null: return nil
        case .error(let error): throw error
        case .oversized(let bytes):
            unreadable.note(id, "\(bytes) bytes long")
            return nil
        default: throw RedisClientError(.protocolViolation, reason: "an unexpected reply to GET")
        }
    }

    // MARK: Writing

    private enum Replacement { case replaced, gone, changed }

    private func replace(
        _ record: ByteBuffer, of id: SessionID, with session: Session, at now: Date
    ) async throws -> Replacement {
        let new = PlainRecord.encode(session)
        try Self.checkSize(new.count)
        let milliseconds = max(1, Int(session.expiresAt.timeIntervalSince(now) * 1000))
        let reply = try await call {
            // Sent twice it finds the record changed, by itself: the next attempt then reads it and writes the same again.
            try await RedisScript.replace.run(
                on: self.client, key: self.keys.session(id),
                [.buffer(record), .bytes(new), .integer(milliseconds)], isIdempotent: true)
        }
        switch reply {
        case .number(1): return .replaced
        case .number(0): return .gone
        case .number(2): return .changed
        default: throw SessionStoreError(.rejected, reason: "an unexpected reply to a script")
        }
    }

    /// How long a session's key may live from now on, in milliseconds.
    private func timeToLive(of session: Session, at now: Date) -> Int {
        let absolute = max(1, Int(session.expiresAt.timeIntervalSince(now) * 1000))
        return min(absolute, policy.idleTimeout?.wholeMilliseconds ?? absolute)
    }

    /// Sends a command whose only good answer is `OK`.
    private func write(_ command: RedisCommand) async throws {
        guard try await call({ try await self.client.send(command) }) == .simpleString("OK") else {
            throw SessionStoreError(.rejected, reason: "an unexpected reply to \(command)")
        }
    }

    private func call(_ body: () async throws -> RESPValue) async throws -> RESPValue {
        do {
            return try await body()
        } catch {
            throw RedisFailure.storeError(error)
        }
    }

    private static func checkSize(_ size: Int) throws {
        guard size <= PlainRecord.maximumSize else {
            throw SessionStoreError(
                .tooLarge, reason: "a session may have \(PlainRecord.maximumSize) bytes, not \(size)")
        }
    }
}

extension Duration {
    /// From none to a thousand years, so that no sum with it can overflow.
    fileprivate var wholeMilliseconds: Int {
        let bounded = Swift.min(Swift.max(self, .zero), .seconds(1000 * 366 * 86_400)).components
        return Int(bounded.seconds) * 1000 + Int(bounded.attoseconds / 1_000_000_000_000_000)
    }
}
