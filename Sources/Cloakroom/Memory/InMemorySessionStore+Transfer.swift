import Logging

public import struct Foundation.Date

extension InMemorySessionStore: SessionTransfer {
    public func insertSession(_ session: Session, for id: SessionID) async throws -> Bool {
        let now = now()
        guard !session.isExpired(at: now) else { return false }
        return try store(session, for: id, now: now, isTransfer: true)
    }

    /// See ``SessionTransfer/deleteSession(_:tombstoneUntil:)``. The session ends even when there is no room for another
    /// tombstone, which is an error of ``SessionStoreError/Code/full``.
    public func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws {
        let (ended, isMarked) = shard(of: id).remove(id, tombstoneUntil: end, now: now())
        if let ended { forget([ended]) }
        guard isMarked else {
            throw SessionStoreError(.full, reason: "the in-memory store holds as many tombstones as it may")
        }
    }

    /// What became of the sessions, or records, that were handed over to another store.
    public struct DrainReport: Sendable, Equatable {
        /// How many the other store has taken over.
        public internal(set) var moved = 0
        /// How many it could not be made to take; they are still here.
        public internal(set) var failed = 0
        /// How many it had already, or knew to have ended.
        public internal(set) var alreadyEnded = 0
    }

    /// Hands every live session over to another store under the ID that it has, so that nobody is logged out when this
    /// process ends. They stay here as well.
    ///
    /// Call it when no more requests are served: a session that begins meanwhile may be missed. One that ends meanwhile is
    /// ended there too.
    ///
    /// - Parameters:
    ///   - target: the other store.
    ///   - concurrency: how many are under way at once.
    public func drain(into target: any SessionTransfer, concurrency: Int = 64) async -> DrainReport {
        let now = now()
        var report = DrainReport()
        var firstError: (any Error)?
        for shard in shards {
            let sessions = shard.entries(after: 0, limit: .max, now: now).map { ($0.id, $0.entry.session) }
            await Self.forEach(sessions, concurrency: concurrency) { id, session in
                guard try await target.insertSession(session, for: id) else { return false }
                if !shard.holds(id) {
                    try await target.deleteSession(id, tombstoneUntil: session.expiresAt)
                }
                return true
            } done: { result in
                report.count(result)
                if case .failure(let error) = result { firstError = firstError ?? error }
            }
        }
        if let firstError {
            logger.error(
                "sessions could not be handed over to another store",
                metadata: ["failed": "\(report.failed)", "firstError": "\(firstError)"])
        }
        return report
    }

    /// Hands every one-time record over to another store. One that can't be handed over stays here.
    public func drainRecords(into target: any OneTimeRecordStore) async -> DrainReport {
        var report = DrainReport()
        await Self.forEach(records.live(now: now()), concurrency: 64) { key, lifetime in
            guard let record = self.records.take(key: key, now: self.now()) else { return false }
            do {
                try await target.putRecord(record, key: key, lifetime: lifetime)
            } catch {
                _ = try? self.records.put(record, key: key, lifetime: lifetime, now: self.now())
                throw error
            }
            return true
        } done: { result in
            report.count(result)
        }
        return report
    }

    private static func forEach<First: Sendable, Second: Sendable>(
        _ elements: [(First, Second)], concurrency: Int,
        _ body: @escaping @Sendable (First, Second) async throws -> Bool,
        done: (Result<Bool, any Error>) -> Void
    ) async {
        await withTaskGroup(of: Result<Bool, any Error>.self) { group in
            for (index, element) in elements.enumerated() {
                if index >= max(1, concurrency), let result = await group.next() { done(result) }
                group.addTask {
                    do {
                        return .success(try await body(element.0, element.1))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for await result in group { done(result) }
        }
    }
}

extension InMemorySessionStore.DrainReport {
    fileprivate mutating func count(_ result: Result<Bool, any Error>) {
        switch result {
        case .success(true): moved += 1
        case .success(false): alreadyEnded += 1
        case .failure: failed += 1
        }
    }
}
