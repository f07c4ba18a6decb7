import Cloakroom
import ServiceLifecycle
import Synchronization

import struct Foundation.Date

@testable import CloakroomGateway

/// The in-memory store, shared by several gateways, whose connection a test can cut.
final class SharedStore: FullSessionStore, Service {
    private let store: InMemorySessionStore
    private let isDown = Mutex(false)

    init(_ store: InMemorySessionStore) { self.store = store }

    func cut(_ down: Bool = true) { isDown.withLock { $0 = down } }

    private func check() throws {
        if isDown.withLock({ $0 }) { throw SessionStoreError(.unavailable, reason: "connection refused") }
    }

    func run() async throws { try await gracefulShutdown() }

    func createSession(_ new: NewSession) async throws -> SessionID {
        try check()
        return try await store.createSession(new)
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

    func endReason(of session: SessionHandle) async throws -> SessionEndReason? {
        try check()
        return try await store.endReason(of: session)
    }

    func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try check()
        try await store.putRecord(record, key: key, lifetime: lifetime)
    }

    func putRecordIfAbsent(_ record: [UInt8], key: String, lifetime: Duration) async throws -> Bool {
        try check()
        return try await store.putRecordIfAbsent(record, key: key, lifetime: lifetime)
    }

    func readRecord(key: String) async throws -> [UInt8]? {
        try check()
        return try await store.readRecord(key: key)
    }

    func takeRecord(key: String) async throws -> [UInt8]? {
        try check()
        return try await store.takeRecord(key: key)
    }

    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        try check()
        return try await store.deleteSession(id, ifTokensAre: tokens)
    }

    func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        try check()
        return try await store.updateSession(id, change)
    }

    func insertSession(_ session: Session, for id: SessionID) async throws -> Bool {
        try check()
        return try await store.insertSession(session, for: id)
    }

    func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws {
        try check()
        try await store.deleteSession(id, tombstoneUntil: end)
    }

    func sessions(ofUser user: UserIdentity) async throws -> [SessionSummary] {
        try check()
        return try await store.sessions(ofUser: user)
    }

    func sessions(ofProviderSession session: ProviderSession) async throws -> [SessionSummary] {
        try check()
        return try await store.sessions(ofProviderSession: session)
    }

    func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        try check()
        return try await store.sessions(after: cursor, limit: limit)
    }

    func sessionCount() async throws -> Int {
        try check()
        return try await store.sessionCount()
    }

    func sessionCount(ofUser user: UserIdentity) async throws -> Int {
        try check()
        return try await store.sessionCount(ofUser: user)
    }

    func deleteSession(_ handle: SessionHandle, ofUser user: UserIdentity?) async throws -> Bool {
        try check()
        return try await store.deleteSession(handle, ofUser: user)
    }

    func deleteSessions(ofUser user: UserIdentity, except kept: SessionID?) async throws -> Int {
        try check()
        return try await store.deleteSessions(ofUser: user, except: kept)
    }

    func deleteSessions(ofProviderSession session: ProviderSession) async throws -> Int {
        try check()
        return try await store.deleteSessions(ofProviderSession: session)
    }

    func deleteAllSessions() async throws -> Int {
        try check()
        return try await store.deleteAllSessions()
    }
}
