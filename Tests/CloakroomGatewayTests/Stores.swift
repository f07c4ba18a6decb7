import Cloakroom
import ServiceLifecycle
import Synchronization

@testable import CloakroomGateway

/// The in-memory store, shared by several gateways, whose connection a test can cut.
final class SharedStore: OneTimeRecordStore, RefreshLeaseStore, Service {
    private let store: InMemorySessionStore
    private let isDown = Mutex(false)

    init(_ store: InMemorySessionStore) { self.store = store }

    func cut(_ down: Bool = true) { isDown.withLock { $0 = down } }

    private func check() throws {
        if isDown.withLock({ $0 }) { throw SessionStoreError(.unavailable, reason: "connection refused") }
    }

    func run() async throws { try await gracefulShutdown() }

    func createSession(tokens: TokenSet, userInfo: UserInfo) async throws -> SessionID {
        try check()
        return try await store.createSession(tokens: tokens, userInfo: userInfo)
    }

    func session(for id: SessionID) async throws -> Session? {
        try check()
        return try await store.session(for: id)
    }

    func deleteSession(_ id: SessionID) async throws {
        try check()
        try await store.deleteSession(id)
    }

    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        try check()
        return try await store.refreshSession(id, tokens: tokens)
    }

    func acquireRefreshLease(for id: SessionID, lifetime: Duration) async throws -> RefreshLeaseAnswer {
        try check()
        return try await store.acquireRefreshLease(for: id, lifetime: lifetime)
    }

    func renewRefreshLease(_ lease: RefreshLease, lifetime: Duration) async throws -> Bool {
        try check()
        return try await store.renewRefreshLease(lease, lifetime: lifetime)
    }

    func releaseRefreshLease(_ lease: RefreshLease) async throws {
        try check()
        try await store.releaseRefreshLease(lease)
    }

    func completeRefresh(_ lease: RefreshLease, tokens: TokenSet) async throws -> RefreshResult {
        try check()
        return try await store.completeRefresh(lease, tokens: tokens)
    }

    func waitForRefresh(of id: SessionID, after stale: Session, atMost limit: Duration) async throws -> RefreshWait {
        try check()
        return try await store.waitForRefresh(of: id, after: stale, atMost: limit)
    }

    func ping() async throws { try check() }

    func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try check()
        try await store.putRecord(record, key: key, lifetime: lifetime)
    }

    func takeRecord(key: String) async throws -> [UInt8]? {
        try check()
        return try await store.takeRecord(key: key)
    }
}
