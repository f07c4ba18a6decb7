public import Logging
public import ServiceLifecycle
import Synchronization

package import struct Foundation.Date

/// Sessions in this process's memory: for development and tests.
///
/// Not for production, and it says so in one warning when it is made: its sessions vanish with the process and no other
/// replica sees them. It holds a bounded number of sessions and drops ended ones by itself, on writes and, while
/// ``run()`` runs, every half minute.
public final class InMemorySessionStore: SessionStore, OneTimeRecordStore, Service {
    /// The shards share the bound; each has its lock, so that tasks on different cores seldom meet.
    private static let shardCount = 64

    private let policy: SessionPolicy
    private let maximumSessions: Int
    private let shards: [SessionShard]
    private let count = Atomic<Int>(0)
    private let records = InMemoryOneTimeRecords(maximumCount: 10_000)
    private let logger: Logger
    private let now: @Sendable () -> Date

    /// Makes an empty store.
    ///
    /// - Parameters:
    ///   - policy: how long sessions live.
    ///   - maximumSessions: how many live sessions it takes; one more is refused with ``SessionStoreError/Code/full``, so
    ///     that no one who is logged in is thrown out.
    ///   - logger: where the warning goes.
    public convenience init(
        policy: SessionPolicy = SessionPolicy(), maximumSessions: Int = 1_000_000, logger: Logger
    ) {
        self.init(policy: policy, maximumSessions: maximumSessions, logger: logger, now: { Date() })
    }

    package init(
        policy: SessionPolicy, maximumSessions: Int, logger: Logger, now: @escaping @Sendable () -> Date
    ) {
        self.policy = policy
        self.maximumSessions = maximumSessions
        self.shards = (0..<Self.shardCount).map { _ in SessionShard() }
        self.logger = logger
        self.now = now
        logger.warning(
            "InMemorySessionStore is not for production: sessions are lost on restart and no other replica sees them")
    }

    /// How many sessions it holds, ended ones that were not yet dropped included.
    public var sessionCount: Int { count.load(ordering: .relaxed) }

    /// How many notes of future ends the shards hold, for tests of their growth.
    package var pendingExpiryCount: Int { shards.reduce(0) { $0 + $1.pendingExpiryCount } }

    /// Drops ended sessions every half minute until the service is asked to stop.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            // Being asked to stop is no error.
            while (try? await Task.sleep(for: .seconds(30))) != nil {
                self.dropExpired()
            }
        }
    }

    public func createSession(tokens: TokenSet, userInfo: UserInfo) async throws -> SessionID {
        if count.add(1, ordering: .relaxed).newValue > maximumSessions {
            dropExpired()
            guard sessionCount <= maximumSessions else {
                count.subtract(1, ordering: .relaxed)
                throw SessionStoreError(.full, reason: "the in-memory store holds \(maximumSessions) sessions")
            }
        }
        let id = SessionID()
        let now = now()
        let session = Session(beginningAt: now, policy: policy, tokens: tokens, userInfo: userInfo)
        let dropped = shard(of: id).insert(session, for: id, idleTimeout: policy.idleTimeout, now: now)
        count.subtract(dropped, ordering: .relaxed)
        return id
    }

    public func session(for id: SessionID) async throws -> Session? {
        shard(of: id).session(for: id, idleTimeout: policy.idleTimeout, now: now())
    }

    public func deleteSession(_ id: SessionID) async throws {
        if shard(of: id).remove(id) {
            count.subtract(1, ordering: .relaxed)
        }
    }

    public func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        shard(of: id).refresh(id, tokens: tokens, now: now())
    }

    /// Does nothing: the memory is here.
    public func ping() async throws {}

    public func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try records.put(record, key: key, lifetime: lifetime, now: now())
    }

    public func takeRecord(key: String) async throws -> [UInt8]? {
        records.take(key: key, now: now())
    }

    private func dropExpired() {
        let now = now()
        for shard in shards {
            count.subtract(shard.dropExpired(now: now), ordering: .relaxed)
        }
        records.dropExpired(now: now)
    }

    private func shard(of id: SessionID) -> SessionShard {
        shards[Int(truncatingIfNeeded: UInt(bitPattern: id.hashValue) % UInt(Self.shardCount))]
    }
}

extension Session {
    /// A new session of this policy.
    package init(beginningAt now: Date, policy: SessionPolicy, tokens: TokenSet, userInfo: UserInfo) {
        // Cut before the sum, so that the two are a whole lifetime apart.
        let createdAt = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        self.init(
            tokens: tokens, userInfo: userInfo, createdAt: createdAt,
            expiresAt: createdAt.addingTimeInterval(Double(policy.absoluteLifetime.components.seconds)))
    }
}
