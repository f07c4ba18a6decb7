public import Logging
public import ServiceLifecycle

import struct Foundation.Date

/// Two stores as one, for moving from one to the other while both are in use: memory to Redis, one Redis to another,
/// plain records to sealed ones.
///
/// - Writes go to both. The primary decides; a secondary that fails is logged and counted in
///   `cloakroom_hybrid_secondary_failures_total`, and fails no write but one: ending sessions by what they are about.
/// - Reads ask the primary, then the secondary. A session that only the secondary has is copied up. When the secondary
///   can't be asked about one that the primary does not have, the read throws, as nobody can tell.
/// - No logout is undone: the primary keeps a tombstone of each session that was ended, and takes none over that has one.
/// - Leases and one-time records are the primary's; records that only the secondary has can be taken too.
///
/// ``run()`` tries again to end sessions whose end the primary could not confirm. It does not run the two stores, which
/// must outlive it: whoever made them runs them.
public final class HybridSessionStore: SessionStore, Service {
    /// What both stores must be able to do.
    public typealias Part = FullSessionStore

    let primary: any Part
    /// That of the two stores.
    public let policy: SessionPolicy
    private let secondary: any Part
    private let failures: SecondaryFailures
    let unconfirmed: UnconfirmedEnds
    private let logger: Logger

    /// Makes one store of two.
    ///
    /// - Parameters:
    ///   - primary: where sessions are to be in the end; it decides.
    ///   - secondary: where they were.
    ///   - policy: that of the two stores; it bounds how long a tombstone must last.
    ///   - logger: where failures of the secondary go.
    public init(
        primary: any Part, secondary: any Part, policy: SessionPolicy = SessionPolicy(), logger: Logger
    ) {
        self.primary = primary
        self.secondary = secondary
        self.policy = policy
        self.failures = SecondaryFailures(logger: logger)
        self.unconfirmed = UnconfirmedEnds()
        self.logger = logger
    }

    /// Tries every second to end the sessions whose end the primary could not confirm, until the service is asked to stop.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            // Being asked to stop is no error.
            while (try? await Task.sleep(for: .seconds(1))) != nil {
                await self.retryEnds()
            }
        }
    }

    public func createSession(_ new: NewSession) async throws -> SessionID {
        let id = try await primary.createSession(new)
        await tellSecondary(id) { secondary in
            // As the primary has it, times included.
            guard let session = try await self.primary.session(for: id) else { return }
            _ = try await secondary.insertSession(session, for: id)
        }
        return id
    }

    public nonisolated(nonsending) func session(for id: SessionID) async throws -> Session? {
        guard !unconfirmed.contains(id) else { return nil }
        if let session = try await primary.session(for: id) { return session }
        return try await copyUp(id)
    }

    /// Ends a session in both stores. Where there is none, nothing is written, so that invented IDs leave nothing behind.
    ///
    /// - Throws: ``SessionStoreError`` when the primary could not confirm it; when the secondary can't be asked about a
    ///   session that the primary does not have, as then nobody can tell whether there is one.
    public func deleteSession(_ id: SessionID) async throws {
        guard let end = try await end(of: id) else { return }
        try await deleteSession(id, tombstoneUntil: end)
    }

    public func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        guard !unconfirmed.contains(id), let session = try await session(for: id) else { return .absent }
        guard session.tokens == tokens else { return .changed(session) }
        // The secondary's first: once the primary's has ended, a refresh would find it there, copy it up, and be told that
        // it has refreshed a session that is just being ended.
        await tellSecondary(id) { _ = try await $0.deleteSession(id, ifTokensAre: tokens) }
        let outcome = try await primary.deleteSession(id, ifTokensAre: tokens)
        switch outcome {
        case .ended:
            // Keeps a copy that could not be ended from coming back.
            try await deleteSession(id, tombstoneUntil: session.expiresAt)
        case .changed(let current):
            await tellSecondary(id) { _ = try await $0.insertSession(current, for: id) }
        case .absent: break
        }
        return outcome
    }

    /// See ``SessionStore/updateSession(_:_:)``. The primary decides; the secondary gets what came of it, and may be behind
    /// for a moment when several replicas update a session at once.
    public func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        guard !unconfirmed.contains(id) else { return nil }
        var session = try await primary.updateSession(id, change)
        if session == nil, try await copyUp(id) != nil { session = try await primary.updateSession(id, change) }
        guard let session else { return nil }
        await tellSecondary(id) { _ = try await $0.updateSession(id) { $0 = session.attributes } }
        return session
    }

    public func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        guard !unconfirmed.contains(id) else { return nil }
        var session = try await primary.refreshSession(id, tokens: tokens)
        if session == nil, try await copyUp(id) != nil {
            session = try await primary.refreshSession(id, tokens: tokens)
        }
        guard let session else { return nil }
        await refreshSecondary(id, tokens: tokens)
        return session
    }

    /// A round trip to what the primary stands on. One to the secondary as well, whose failure is counted only.
    public func ping() async throws {
        await tellSecondary(nil) { try await $0.ping() }
        try await primary.ping()
    }

    // MARK: What the other protocols share

    /// Takes over a session that only the secondary has.
    ///
    /// - Returns: the session as it now is in the primary; `nil` when there is none.
    func copyUp(_ id: SessionID) async throws -> Session? {
        guard let session = try await secondary.session(for: id) else { return nil }
        guard try await primary.insertSession(session, for: id) else {
            // It has ended, or another has just copied it.
            return try await primary.session(for: id)
        }
        // Who ends sessions by what they are about leaves no tombstones, but ends the secondary's first. So either that is
        // seen here, or the copy is seen there.
        guard try await secondary.session(for: id) != nil else {
            try await primary.deleteSession(id, tombstoneUntil: session.expiresAt)
            return nil
        }
        return session
    }

    func refreshSecondary(_ id: SessionID, tokens: TokenSet) async {
        await tellSecondary(id) { _ = try await $0.refreshSession(id, tokens: tokens) }
    }

    /// Has the secondary do what the primary did. Its failure is logged and counted.
    func tellSecondary(_ id: SessionID?, _ body: (any Part) async throws -> Void) async {
        do {
            try await body(secondary)
        } catch {
            failures.note(id, error)
        }
    }

    /// Asks the secondary, whose failure is counted and thrown.
    func askSecondary<Answer>(_ body: (any Part) async throws -> Answer) async throws -> Answer {
        do {
            return try await body(secondary)
        } catch {
            failures.note(nil, error)
            throw error
        }
    }

    /// When a session can no longer be found in either store: its own end if one of them has it, `nil` if none does.
    ///
    /// A primary that fails is no reason not to end it: then the policy bounds how long the session can still live.
    private func end(of id: SessionID) async throws -> Date? {
        do {
            if let session = try await primary.session(for: id) { return session.expiresAt }
        } catch {
            if let session = try? await secondary.session(for: id) { return session.expiresAt }
            return Date().addingTimeInterval(policy.absoluteLifetime / .seconds(1))
        }
        return try await askSecondary { try await $0.session(for: id) }?.expiresAt
    }

    /// Ends the sessions that the primary did not confirm the end of, if it answers now.
    package func retryEnds() async {
        for (id, ended) in unconfirmed.all(now: Date()) {
            do {
                try await ended.reason.around { try await primary.deleteSession(id, tombstoneUntil: ended.end) }
            } catch {
                // It does not answer still; the others can wait too.
                return
            }
            unconfirmed.remove(id)
            await ended.reason.around {
                await tellSecondary(id) { try await $0.deleteSession(id, tombstoneUntil: ended.end) }
            }
            logger.info("the end of a session was confirmed late", metadata: ["session": "\(id.handle)"])
        }
    }
}
