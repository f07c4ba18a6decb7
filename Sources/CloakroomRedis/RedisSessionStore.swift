public import Cloakroom
import CloakroomRedisClient
public import Logging
import NIOCore
public import ServiceLifecycle

public import struct Foundation.Date

/// Sessions in Redis, shared by every replica: in the plain form, which other programs read and write, or sealed.
///
/// - A read costs nothing when the near cache has the session, else one round trip. A refresh takes two: the record is read,
///   and replaced only if it is still what was read, with its TTL kept. So a logout that comes between wins, and no key ever
///   lacks a TTL.
/// - What is stored under a session's key but is no session is treated as absent, logged once, counted, and left in place.
/// - A Redis that can't be reached or refuses makes every call throw `SessionStoreError`: never "no session".
///
/// ``run()`` keeps the connections and must run for as long as the store is used.
public final class RedisSessionStore: SessionTransfer, NearSessions, OneTimeRecordStore, Service {
    /// How often a change tries again when others change the same session at the same time.
    private static let changeAttempts = 128

    let calls: RedisCalls
    let keys: KeySchema
    /// How long sessions live, and how many a user may have.
    public let policy: SessionPolicy
    let codec: RecordCodec
    let records: SessionRecords
    let index: SessionIndex
    let endNotes: RedisEndNotes
    let nearCache: NearCache?
    private let touches = RecentTouches()
    private let updates = AttributeUpdates()
    private let transaction: CreateTransaction
    private let abandoned = AbandonedCreate()
    let events: SessionEvents?
    private let endWatch: EndWatch?

    /// Makes a store; nothing is connected before ``run()``.
    public init(configuration: RedisStoreConfiguration, policy: SessionPolicy = SessionPolicy(), logger: Logger) {
        let keys = KeySchema(sessionPrefix: configuration.keyPrefix, defaultIssuer: policy.defaultIssuer)
        let endWatch = configuration.events.map { EndWatch(events: $0) }
        let nearCache = configuration.nearCache.map { NearCache($0, keys: keys, endWatch: endWatch) }
        var reading = RedisClientConfiguration(configuration)
        reading.invalidationObserver = nearCache
        let reader = RedisClient(configuration: reading, logger: logger)
        let waits = configuration.waitReplicas > 0
        var writing = RedisClientConfiguration(configuration)
        // Each can wait for replicas once at a time, and a call takes that much longer before it counts as unanswered.
        writing.connections = max(8, configuration.connectionsPerNode)
        writing.commandTimeout += configuration.waitTimeout
        self.calls = RedisCalls(
            client: reader, confirming: waits ? RedisClient(configuration: writing, logger: logger) : reader,
            waitReplicas: configuration.waitReplicas,
            waitMilliseconds: max(1, configuration.waitTimeout.wholeMilliseconds))
        self.keys = keys
        self.policy = policy
        self.codec = RecordCodec(
            keyring: configuration.keyring, seals: configuration.seals,
            compressionThreshold: configuration.compressionThreshold, acceptsPlain: configuration.acceptsPlain)
        let endNotes = RedisEndNotes(calls: calls, keys: keys)
        self.endNotes = endNotes
        self.records = SessionRecords(
            calls: calls, keys: keys, policy: policy, codec: codec,
            sealingCodec: codec.sealing,
            unreadable: UnreadableRecords(logger: logger), endNotes: endNotes)
        self.index = SessionIndex(calls: calls, keys: keys)
        self.nearCache = nearCache
        self.transaction = CreateTransaction(logger: logger)
        self.events = configuration.events
        self.endWatch = nearCache == nil ? nil : endWatch
    }

    /// Replaces the keys that seal and open sessions, while the store is in use; see `RecordCodec/replaceKeyring(_:)`.
    public func replaceKeyring(_ keyring: SessionKeyring) { codec.replaceKeyring(keyring) }

    /// Reads the files of certificates and keys again, for connections that are made from now on.
    ///
    /// - Throws: `SessionStoreError` that names the file and says what is wrong; then those read before stay in use.
    public func renewTLS() throws {
        do throws(RedisClientError) {
            try calls.client.renewTLS()
            if calls.confirming !== calls.client { try calls.confirming.renewTLS() }
        } catch {
            throw SessionStoreError(.unavailable, reason: error.reason)
        }
    }

    /// Connects to Redis, again whenever a connection is lost, until the service is asked to stop; calls that are under
    /// way then are finished first.
    public func run() async throws {
        let clients = calls.confirming === calls.client ? [calls.client] : [calls.client, calls.confirming]
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                for client in clients { group.addTask { await client.run() } }
                let watching = Task {
                    await self.endWatch?.run { id in
                        let now = Date()
                        guard let found = try await self.fetch(id, at: now) else { return .gone }
                        self.nearCache?.watched.tell(id, self.peeked(found, at: now))
                        return .live(isKept: self.nearCache?.keeps(id) ?? false)
                    } note: { session in
                        try? await self.endNotes.reason(of: session)
                    }
                }
                await group.waitForAll()
                watching.cancel()
            }
        } onGracefulShutdown: {
            for client in clients { client.shutDown() }
        }
    }

    /// Executors on the threads of the store's connections. A task that runs on one of them, by
    /// `withTaskExecutorPreference(_:)`, reads sessions without waking another thread; it must not block.
    public var taskExecutors: [any TaskExecutor] { calls.client.taskExecutors }

    /// How many sessions the near cache holds, and about how many bytes.
    public var nearCacheUsage: (entries: Int, bytes: Int) { nearCache?.usage ?? (0, 0) }

    // MARK: Sessions

    public func createSession(_ new: NewSession) async throws -> SessionID {
        let id = SessionID()
        let now = Date()
        let session = try Session(beginningAt: now, policy: policy, new)
        try await add(session, for: id, at: now)
        events?.emit(SessionEvent(.began, session: id.handle, user: policy.resolved(session.user)))
        return id
    }

    public nonisolated(nonsending) func session(for id: SessionID) async throws -> Session? {
        // No more than this, so that the path of nearly all calls is as short in the program as it is here.
        let hit = nearCache?.hit(id)
        if let hit, !hit.mustTouch { return hit.session }
        return try await session(for: id, hit)
    }

    package func nearSession(for id: SessionID) -> Session? { nearCache?.free(id) }

    /// The session, where Redis must be called to have it or to note its use.
    private func session(for id: SessionID, _ hit: NearCacheShard.Hit?) async throws -> Session? {
        if let hit { return try await touch(id, hit.name, hit.session) ? hit.session : nil }
        let now = Date()
        guard let found = try await fetch(id, at: now) else { return nil }
        if let timeToLive = found.timeToLive, untilTouch(found.session, timeToLive: timeToLive, at: now) == 0,
            touches.claim(id, for: policy.touchInterval)
        {
            return try await touch(id, found.name, found.session) ? found.session : nil
        }
        return found.session
    }

    public func deleteSession(_ id: SessionID) async throws {
        defer { nearCache?.drop(id) }
        try await tellingEnd(of: id, because: .logout) { reason in
            let ended = try await records.end(id, because: reason)
            await forget(ended, also: endNotes.after(ending: ended.map(\.name), because: reason))
            return ended.first.map { Ended(user: $0.session?.user) }
        }
    }

    @discardableResult
    public func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        try await refresh(id, tokens: tokens) { _ in true }.session
    }

    public func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        defer { nearCache?.drop(id) }
        var outcome = ConditionalEnd.absent
        try await tellingEnd(of: id, because: .invalidGrant) { reason in
            outcome = try await end(id, ifTokensAre: tokens, because: reason)
            return outcome == .ended ? Ended(user: nil) : nil
        }
        return outcome
    }

    private func end(
        _ id: SessionID, ifTokensAre tokens: TokenSet, because reason: SessionEndReason
    ) async throws -> ConditionalEnd {
        for _ in 0..<Self.changeAttempts {
            // Not from the near cache, and compared once more as it is ended.
            guard let found = try await records.read(id) else { return .absent }
            guard found.session.tokens == tokens else { return .changed(found.session) }
            switch try await records.end(found) {
            case .replaced:
                await forget(
                    [(found.name, found.session)],
                    also: endNotes.after(ending: [found.name], because: reason, onlyInCluster: false))
                return .ended
            case .gone: return .absent
            case .changed: continue
            }
        }
        throw Self.busy
    }

    @discardableResult
    public func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        try await updates.perform(id, change) { [self] apply in
            try await self.change(id) { session in
                let attributes = apply(session.attributes)
                return attributes == session.attributes ? nil : try session.updated(with: attributes)
            }.session
        }
    }

    public func ping() async throws {
        _ = try await calls.send(.ping)
    }

    // MARK: Moving sessions

    public func insertSession(_ session: Session, for id: SessionID) async throws -> Bool {
        let now = Date()
        guard !session.isExpired(at: now) else { return false }
        var session = session
        session.issuer = session.issuer ?? policy.defaultIssuer
        let name = codec.name(for: id)
        let others = codec.names(for: id).filter { $0 != name }
        if !others.isEmpty {
            let replies = try await calls.send(others.map { .exists([keys.session($0)]) })
            guard replies.allSatisfy({ $0 == .number(0) }) else { return false }
        }
        let key = keys.session(name)
        let record = try codec.encode(session, id: id, key: key)
        let life = records.timeToLive(of: session, at: now)
        let reply = try await calls.writeDurably(
            ScriptedCommand(.setIfAbsent(key, .bytes(record), milliseconds: life)))
        guard reply == .simpleString("OK") else { return false }
        // One that is older than as many as the user may have ends at once, as it has in the other store.
        return try await !enter(name, session, at: now, isNew: false).contains(name)
    }

    public func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws {
        defer { nearCache?.drop(id) }
        let life = max(1, Int(min(end.timeIntervalSinceNow, 3653 * 86_400) * 1000))
        try await tellingEnd(of: id, because: .logout) { reason in
            let ended = try await records.end(id, tombstoneLife: life, because: reason)
            await forget(ended, also: endNotes.after(ending: ended.map(\.name), because: reason))
            return ended.first.map { Ended(user: $0.session?.user) }
        }
    }

    // MARK: One-time records

    public func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try OneTimeRecords.checkSize(record)
        let command = RedisCommand.set(
            keys.oneTimeRecord(key), .bytes(record), milliseconds: max(1, lifetime.wholeMilliseconds))
        guard try await calls.send(command) == .simpleString("OK") else {
            throw SessionStoreError(.rejected, reason: "an unexpected reply to \(command)")
        }
    }

    public func putRecordIfAbsent(_ record: [UInt8], key: String, lifetime: Duration) async throws -> Bool {
        try OneTimeRecords.checkSize(record)
        let command = RedisCommand.setIfAbsent(
            keys.oneTimeRecord(key), .bytes(record), milliseconds: max(1, lifetime.wholeMilliseconds))
        switch try await calls.send(command) {
        case .simpleString("OK"): return true
        case .null: return false
        default: throw SessionStoreError(.rejected, reason: "an unexpected reply to \(command)")
        }
    }

    public func takeRecord(key: String) async throws -> [UInt8]? {
        switch try await calls.send(.getAndDelete(keys.oneTimeRecord(key), isIdempotent: false)) {
        case .bulk(let buffer): return Array(buffer.readableBytesView)
        case .null: return nil
        default: throw SessionStoreError(.rejected, reason: "an unexpected reply to GETDEL")
        }
    }

    // MARK: Reading

    /// The live session as Redis has it, kept in the near cache for the next one that asks. No use of the session.
    nonisolated(nonsending) func fetch(_ id: SessionID, at now: Date) async throws -> SessionRecords.Found? {
        let names = codec.names(for: id)
        guard let nearCache, let ticket = nearCache.begin(id, names: names) else {
            return try await records.read(id, names: names)
        }
        let found: SessionRecords.Found?
        do {
            found = try await records.read(id, names: names)
        } catch {
            nearCache.finish(ticket, nil)
            throw error
        }
        nearCache.finish(
            ticket,
            found.map { found in
                NearCache.Read(
                    session: found.session, name: found.name, bytes: found.record.readableBytes + 1024,
                    lifetime: found.timeToLive.map { min($0, records.absoluteLife(of: found.session, at: now)) }
                        ?? records.absoluteLife(of: found.session, at: now),
                    untilTouch: found.timeToLive.flatMap { untilTouch(found.session, timeToLive: $0, at: now) })
            })
        return found
    }

    /// After how many milliseconds a use of the session must be noted; `nil` when it need not, as nothing can be gained.
    private func untilTouch(_ session: Session, timeToLive: Int, at now: Date) -> Int? {
        guard let interval = policy.touchInterval?.wholeMilliseconds else { return nil }
        let wanted = records.timeToLive(of: session, at: now)
        // Not the difference of the two: what a server answers may overflow it.
        if timeToLive <= wanted - interval { return 0 }
        // Beyond the absolute end nothing can be gained by then.
        let until = timeToLive >= wanted ? interval : timeToLive - (wanted - interval)
        return records.absoluteLife(of: session, at: now) <= timeToLive ? nil : until
    }

    /// Notes a use. A failure harms nothing: the session is live, and the next use tries again.
    ///
    /// - Returns: `false` when the session is gone.
    private func touch(_ id: SessionID, _ name: RecordName, _ session: Session) async throws -> Bool {
        do {
            let isLive = try await records.touch(name, session, at: Date())
            // The change is reported too, but not before the next one may ask.
            nearCache?.drop(id)
            return isLive
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            nearCache?.drop(id)
            return true
        }
    }

    // MARK: Writing

    /// Stores a new session and enters it into its indexes. One round trip; in a cluster two, and a further one where the
    /// limit of sessions per user is passed.
    private func add(_ session: Session, for id: SessionID, at now: Date) async throws {
        let name = codec.name(for: id)
        do {
            try await store(session, for: id, name, at: now)
        } catch {
            if AbandonedCreate.isLeft(by: error) {
                abandoned.remove { [calls, keys, index] in
                    let unlink = [keys.session(name)] + (name.isSealed ? [keys.summary(name)] : [])
                    _ = try await calls.write(
                        unlink.map { ScriptedCommand(.unlink($0)) } + index.forgetting(name, session))
                }
            }
            throw error
        }
    }

    private func store(_ session: Session, for id: SessionID, _ name: RecordName, at now: Date) async throws {
        let key = keys.session(name)
        let record = try codec.encode(session, id: id, key: key)
        let life = records.timeToLive(of: session, at: now)
        if calls.isCluster {
            try await storeInCluster(.set(key, .bytes(record), milliseconds: life), name, session, id: id, at: now)
            return
        }
        let limit = session.user == nil ? 0 : policy.maximumPerUser ?? 0
        if limit == 0 {
            let isStored = try await transaction.run(
                calls, set: .set(key, .bytes(record), milliseconds: life), indexes: index.indexes(of: session),
                member: name.text, score: SessionIndex.score(of: session, at: now, isNew: true),
                now: SessionIndex.milliseconds(now), life: records.absoluteLife(of: session, at: now),
                also: summary(name, session, at: now))
            if isStored { return }
        }
        let create = RedisScript.create.command(
            [key] + index.indexes(of: session),
            [.bytes(record), .integer(life)] + SessionIndex.arguments(name, session, at: now, isNew: true)
                + [.text(""), .integer(limit), .text(keys.sessionPrefix)])
        let replies = try await calls.writeDurably([create] + summary(name, session, at: now))
        guard let ended = replies[0].elements else {
            throw SessionStoreError(.rejected, reason: "an unexpected reply to a script")
        }
        await forgetEnded(ended.compactMap { $0.text.flatMap { RecordName($0) } })
    }

    private func storeInCluster(
        _ set: RedisCommand, _ name: RecordName, _ session: Session, id: SessionID, at now: Date
    ) async throws {
        guard try await calls.writeDurably(ScriptedCommand(set)) == .simpleString("OK") else {
            throw SessionStoreError(.rejected, reason: "an unexpected reply to \(set)")
        }
        do {
            try await enter(name, session, at: now, isNew: true)
        } catch {
            // Nobody has the ID yet; a session that no list shows must not stay.
            _ = try? await records.end(id, because: nil)
            throw error
        }
    }

    /// Enters a stored session into its indexes, and ends the user's oldest ones beyond the limit.
    ///
    /// - Returns: the names of those that were ended.
    @discardableResult
    private func enter(
        _ name: RecordName, _ session: Session, at now: Date, isNew: Bool
    ) async throws -> [RecordName] {
        let commands = index.entering(name, session, at: now, isNew: isNew) + summary(name, session, at: now)
        if !commands.isEmpty { _ = try await calls.writeDurably(commands) }
        guard let limit = policy.maximumPerUser, let user = session.user else { return [] }
        let userIndex = keys.userIndex(user)
        let names = try await index.names(in: userIndex, limit: Self.listLimit)
        guard names.count > limit else { return [] }
        let ended = Array(try await liveNames(names, in: userIndex).dropLast(limit))
        _ = try await end(ended, in: userIndex, because: .limit)
        tellEnd(of: ended, because: .limit)
        return ended
    }

    private func summary(_ name: RecordName, _ session: Session, at now: Date) -> [ScriptedCommand] {
        guard name.isSealed else { return [] }
        let record = codec.encodeSummary(session, name: name)
        let life = records.absoluteLife(of: session, at: now)
        return [ScriptedCommand(.set(keys.summary(name), .bytes(record), milliseconds: life))]
    }

    /// Replaces a session's tokens.
    ///
    /// - Parameter isWanted: looks at the session as it is; `false` leaves it so.
    /// - Returns: the session as it stands, and whether it was refreshed.
    func refresh(
        _ id: SessionID, tokens: TokenSet, if isWanted: (Session) -> Bool
    ) async throws -> (session: Session?, isRefreshed: Bool) {
        let (session, isChanged) = try await change(id) {
            isWanted($0) ? $0.refreshed(with: tokens, at: Date()) : nil
        }
        return (session, isChanged)
    }

    /// Changes a session, over and over until no one else changes it in between.
    ///
    /// - Parameter body: what to make of the session as it is; `nil` leaves it so.
    /// - Returns: the session as it stands, and whether it was changed.
    private func change(
        _ id: SessionID, _ body: (Session) throws -> Session?
    ) async throws -> (session: Session?, isChanged: Bool) {
        defer { nearCache?.drop(id) }
        for attempt in 0..<Self.changeAttempts {
            // No use of the session: only the user's own requests keep it beyond the idle limit.
            guard let found = try await records.read(id) else { return (nil, false) }
            guard let changed = try body(found.session) else { return (found.session, false) }
            let now = Date()
            let outcome = try await records.replace(found, of: id, with: changed, at: now, index: index) { name in
                // The summary of a session that becomes a sealed one is new.
                summary(name, changed, at: now)
            }
            switch outcome {
            case .replaced: return (changed, true)
            case .gone: return (nil, false)
            case .changed: break
            }
            // Others are at it all the time: give them way, each for another while.
            if attempt >= 4 { try await Task.sleep(for: .microseconds(Int.random(in: 0...(500 * min(attempt, 40))))) }
        }
        throw Self.busy
    }

    private static var busy: SessionStoreError {
        SessionStoreError(.unavailable, reason: "the session was changed by others all the time")
    }

    /// Takes ended sessions out of the indexes. They are ended already, so a failure harms nothing: readers remove what is
    /// left.
    ///
    /// - Parameter notes: what to send along.
    private func forget(
        _ ended: [(name: RecordName, session: Session?)], also notes: [ScriptedCommand]
    ) async {
        let commands = notes + ended.flatMap { index.forgetting($0.name, $0.session) }
        if !commands.isEmpty { _ = try? await calls.write(commands) }
    }

    /// Drops what is left of sessions that were ended for a newer one, and notes why they were.
    private func forgetEnded(_ names: [RecordName]) async {
        guard !names.isEmpty else { return }
        for id in names.compactMap(\.id) { nearCache?.drop(id) }
        tellEnd(of: names, because: .limit)
        // The script that ended them knows their names, not their handles.
        let notes = endNotes.after(ending: names, because: .limit, onlyInCluster: false)
        let summaries = names.filter(\.isSealed).map { ScriptedCommand(.unlink(keys.summary($0))) }
        _ = try? await calls.write(notes + summaries)
    }
}
