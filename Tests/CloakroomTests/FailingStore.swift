import Cloakroom
import Foundation
import Logging
import Synchronization

/// An in-memory store that can't be reached while it is told so.
final class FailingStore: FullSessionStore {
    let isFailing = Atomic<Bool>(false)
    private let store = InMemorySessionStore(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })

    private var inner: InMemorySessionStore {
        get throws {
            guard !isFailing.load(ordering: .relaxed) else {
                throw SessionStoreError(.unavailable, reason: "it is told to fail")
            }
            return store
        }
    }

    func createSession(_ new: NewSession) async throws -> SessionID {
        try await inner.createSession(new)
    }
    func session(for id: SessionID) async throws -> Session? { try await inner.session(for: id) }
    func deleteSession(_ id: SessionID) async throws { try await inner.deleteSession(id) }
    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        try await inner.refreshSession(id, tokens: tokens)
    }
    func ping() async throws { try await inner.ping() }

    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        try await inner.deleteSession(id, ifTokensAre: tokens)
    }
    func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        try await inner.updateSession(id, change)
    }

    func insertSession(_ session: Session, for id: SessionID) async throws -> Bool {
        try await inner.insertSession(session, for: id)
    }
    func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws {
        try await inner.deleteSession(id, tombstoneUntil: end)
    }

    func sessions(ofUser user: UserIdentity) async throws -> [SessionSummary] {
        try await inner.sessions(ofUser: user)
    }
    func sessions(ofProviderSession session: ProviderSession) async throws -> [SessionSummary] {
        try await inner.sessions(ofProviderSession: session)
    }
    func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        try await inner.sessions(after: cursor, limit: limit)
    }
    func sessionCount() async throws -> Int { try await inner.sessionCount() }
    func sessionCount(ofUser user: UserIdentity) async throws -> Int { try await inner.sessionCount(ofUser: user) }
    func deleteSession(_ handle: SessionHandle, ofUser user: UserIdentity?) async throws -> Bool {
        try await inner.deleteSession(handle, ofUser: user)
    }
    func deleteSessions(ofUser user: UserIdentity, except kept: SessionID?) async throws -> Int {
        try await inner.deleteSessions(ofUser: user, except: kept)
    }
    func deleteSessions(ofProviderSession session: ProviderSession) async throws -> Int {
        try await inner.deleteSessions(ofProviderSession: session)
    }
    func deleteAllSessions() async throws -> Int { try await inner.deleteAllSessions() }

    func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try await inner.putRecord(record, key: key, lifetime: lifetime)
    }
    func putRecordIfAbsent(_ record: [UInt8], key: String, lifetime: Duration) async throws -> Bool {
        try await inner.putRecordIfAbsent(record, key: key, lifetime: lifetime)
    }
    func readRecord(key: String) async throws -> [UInt8]? { try await inner.readRecord(key: key) }
    func takeRecord(key: String) async throws -> [UInt8]? { try await inner.takeRecord(key: key) }

    func acquireRefreshLease(for id: SessionID, lifetime: Duration) async throws -> RefreshLeaseAnswer {
        try await inner.acquireRefreshLease(for: id, lifetime: lifetime)
    }
    func renewRefreshLease(_ lease: RefreshLease, lifetime: Duration) async throws -> Bool {
        try await inner.renewRefreshLease(lease, lifetime: lifetime)
    }
    func releaseRefreshLease(_ lease: RefreshLease) async throws { try await inner.releaseRefreshLease(lease) }
    func completeRefresh(_ lease: RefreshLease, tokens: TokenSet) async throws -> RefreshResult {
        try await inner.completeRefresh(lease, tokens: tokens)
    }
    func waitForRefresh(of id: SessionID, after stale: Session, atMost limit: Duration) async throws -> RefreshWait {
        try await inner.waitForRefresh(of: id, after: stale, atMost: limit)
    }
}
