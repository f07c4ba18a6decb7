import Cloakroom
import Logging
import Synchronization

/// An in-memory store in which any call can be told to fail.
final class FaultyStore: RefreshLeaseStore {
    enum Call: Sendable, Hashable, CaseIterable {
        case session, delete, conditionalDelete, acquire, renew, release, complete, wait
    }

    /// An error that no caller of the refresher may see.
    struct Foreign: Error {}

    let inner = InMemorySessionStore(logger: quietLogger)
    private let failing = Mutex<Set<Call>>([])
    private let throwsForeign = Mutex(false)

    func fail(_ calls: Set<Call>, foreign: Bool = false) {
        failing.withLock { $0 = calls }
        throwsForeign.withLock { $0 = foreign }
    }

    private func check(_ call: Call) throws {
        guard failing.withLock({ $0.contains(call) }) else { return }
        if throwsForeign.withLock({ $0 }) { throw Foreign() }
        throw SessionStoreError(.unavailable, reason: "\(call) is told to fail")
    }

    func createSession(_ new: NewSession) async throws -> SessionID {
        try await inner.createSession(new)
    }
    func session(for id: SessionID) async throws -> Session? {
        try check(.session)
        return try await inner.session(for: id)
    }
    func deleteSession(_ id: SessionID) async throws {
        try check(.delete)
        try await inner.deleteSession(id)
    }
    @discardableResult
    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        try await inner.refreshSession(id, tokens: tokens)
    }
    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        try check(.conditionalDelete)
        return try await inner.deleteSession(id, ifTokensAre: tokens)
    }
    func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        try await inner.updateSession(id, change)
    }
    func ping() async throws {}

    func acquireRefreshLease(for id: SessionID, lifetime: Duration) async throws -> RefreshLeaseAnswer {
        try check(.acquire)
        return try await inner.acquireRefreshLease(for: id, lifetime: lifetime)
    }
    func renewRefreshLease(_ lease: RefreshLease, lifetime: Duration) async throws -> Bool {
        try check(.renew)
        return try await inner.renewRefreshLease(lease, lifetime: lifetime)
    }
    func releaseRefreshLease(_ lease: RefreshLease) async throws {
        try check(.release)
        try await inner.releaseRefreshLease(lease)
    }
    func completeRefresh(_ lease: RefreshLease, tokens: TokenSet) async throws -> RefreshResult {
        try check(.complete)
        return try await inner.completeRefresh(lease, tokens: tokens)
    }
    func waitForRefresh(of id: SessionID, after stale: Session, atMost limit: Duration) async throws -> RefreshWait {
        try check(.wait)
        return try await inner.waitForRefresh(of: id, after: stale, atMost: limit)
    }
}
