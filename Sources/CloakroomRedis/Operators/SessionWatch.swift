package import Cloakroom
import CloakroomRedisClient
package import Logging
import NIOCore
import Synchronization

import struct Foundation.Date

/// Tells what happens to sessions in Redis, whoever does it, as it happens: Redis reports each change of a key under the prefix
/// (`CLIENT TRACKING ON BCAST`), and what it was is read then.
package struct SessionWatch: Sendable {
    /// What happened.
    package enum Change: Sendable {
        /// Redis reports changes from now on.
        case watching
        case began(SessionSummary)
        /// It has new tokens or other data of the app's, or was used.
        case changed(SessionSummary)
        case ended(SessionHandle)
        /// It can't be read here: sealed with a key that is not among SESSION_KEYS, or no session.
        case unreadable(SessionHandle)
        /// The link was lost, or too much happened at once: changes may have been missed.
        case missed
    }

    /// How many keys may wait to be looked at.
    private static let capacity = 100_000
    /// Younger than this, a session that was not heard of has begun.
    private static let youth = 10.0

    private let store: RedisSessionStore
    private let client: RedisClient
    private let reports: AsyncStream<Report>
    private let continuation: AsyncStream<Report>.Continuation
    private let overflow = Overflow()

    private enum Report: Sendable {
        case keys([String])
        case missed
        case confirmed
        /// By now the server must have confirmed that it reports changes.
        case due
    }

    /// Whether a report found no room.
    private final class Overflow: Sendable {
        let flag = Atomic<Bool>(false)
    }

    /// How long a server may take to confirm that it reports changes; a quarter of a second is usual.
    private static let patience = Duration.seconds(5)

    package init(_ configuration: RedisStoreConfiguration, policy: SessionPolicy, logger: Logger) {
        store = RedisSessionStore(configuration: configuration, policy: policy, logger: logger)
        let (reports, continuation) = AsyncStream.makeStream(
            of: Report.self, bufferingPolicy: .bufferingOldest(Self.capacity))
        self.reports = reports
        self.continuation = continuation
        var watching = RedisClientConfiguration(configuration)
        watching.connections = 1
        watching.trackedPrefix = configuration.keyPrefix
        watching.invalidationObserver = Observer(continuation: continuation, overflow: overflow)
        client = RedisClient(configuration: watching, logger: logger)
    }

    private struct Observer: InvalidationObserver {
        let continuation: AsyncStream<Report>.Continuation
        let overflow: Overflow

        func invalidated(_ keys: [ByteBuffer]?) {
            let report = keys.map { Report.keys($0.map { String(buffer: $0) }) } ?? .missed
            if case .dropped = continuation.yield(report) { overflow.flag.store(true, ordering: .relaxed) }
        }

        func trackingInterrupted() { continuation.yield(.missed) }
        func trackingConfirmed(until: NIODeadline) { continuation.yield(.confirmed) }
    }

    /// Tells of each change until the task is cancelled or `tell` throws.
    ///
    /// - Throws: what `tell` throws; ``SessionStoreError`` when Redis can't be reached at the beginning, or does not report
    ///   changes.
    package func run(_ tell: @escaping @Sendable (Change) throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { [store] in try? await store.run() }
            group.addTask { [client] in await client.run() }
            try await store.ping()
            _ = try await RedisCalls.translatingErrors { try await client.send(.ping) }
            group.addTask { [continuation] in
                try await Task.sleep(for: Self.patience)
                continuation.yield(.due)
            }
            try await take(tell)
        }
    }

    private func take(_ tell: (Change) throws -> Void) async throws {
        var isWatching = false
        var hasWatched = false
        var known: Set<SessionHandle> = []
        for await report in reports {
            if overflow.flag.exchange(false, ordering: .relaxed) { try tell(.missed) }
            switch report {
            case .confirmed:
                if !isWatching { try tell(.watching) }
                isWatching = true
                hasWatched = true
            case .due:
                guard hasWatched else {
                    throw SessionStoreError(
                        .rejected,
                        reason: "Redis does not report changes of keys: its user needs +client|tracking (docs/redis.md)"
                    )
                }
            case .missed:
                if isWatching { try tell(.missed) }
                isWatching = false
            case .keys(let keys):
                let names = Set(keys).compactMap { store.keys.name(ofSessionKey: $0) }
                do {
                    for look in try await looks(at: names) { try tell(change(look, &known)) }
                } catch is SessionStoreError {
                    try tell(.missed)
                }
            }
        }
    }

    /// Looks at sessions. What lists need of a sealed one is written a moment after it.
    private func looks(at names: [RecordName]) async throws -> [RedisSessionStore.Look] {
        var looks = try await store.look(at: names)
        for _ in 0..<5 {
            let early = looks.indices.filter { looks[$0].state == .unreadable && looks[$0].name.isSealed }
            guard !early.isEmpty else { break }
            try? await Task.sleep(for: .milliseconds(20))
            for (index, look) in zip(early, try await store.look(at: early.map { looks[$0].name })) {
                looks[index] = look
            }
        }
        return looks
    }

    private func change(_ look: RedisSessionStore.Look, _ known: inout Set<SessionHandle>) -> Change {
        let handle = look.name.handle
        switch look.state {
        case .gone:
            known.remove(handle)
            return .ended(handle)
        case .unreadable: return .unreadable(handle)
        case .live:
            guard let summary = look.summary else { return .unreadable(handle) }
            // It is only to tell young sessions from new ones, so the older ones may be forgotten.
            if known.count >= Self.capacity { known = [] }
            let isNew = known.insert(handle).inserted
            let isYoung = Date().timeIntervalSince(summary.createdAt) < Self.youth
            return isNew && isYoung ? .began(summary) : .changed(summary)
        }
    }
}
