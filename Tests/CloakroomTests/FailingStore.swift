import Cloakroom
import Foundation
import Logging
import Synchronization

/// An in-memory store that can't be reached while it is told so.
final class FailingStore: SessionTransfer, SessionDirectory, OneTimeRecordStore, RefreshLeaseStore {
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

    func createSession(tokens: TokenSet, userInfo: UserInfo) async throws -> SessionID {
        try await inner.createSession(tokens: tokens, userInfo: userInfo)
    }
    func session(for id: SessionID) async throws -> Session? { try await inner.session(for: id) }
    func deleteSession(_ id: SessionID) async throws { try await inner.deleteSession(id) }
    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        try await inner.refreshSession(id, tokens: tokens)
    }
    func ping() async throws { try await inner.ping() }

    func insertSession(_ session: Session, for id: SessionID) async throws -> Bool {
        try await inner.insertSession(session, for: id)
    }
    func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws {
        try await inner.deleteSession(id, tombstoneUntil: end)
    }

    func sessions(ofUser subject: String) async throws -> [SessionSummary] {
        try await inner.sessions(ofUser: subject)
    }
    func sessions(ofProviderSession sid: String) async throws -> [SessionSummary] {
        try await inner.sessions(ofProviderSession: sid)
    }
    func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        try await inner.sessions(after: cursor, limit: limit)
    }
    func sessionCount() async throws -> Int { try await inner.sessionCount() }
    func sessionCount(ofUser subject: String) async throws -> Int { try await inner.sessionCount(ofUser: subject) }
    func deleteSession(_ handle: SessionHandle, ofUser subject: String?) async throws -> Bool {
        try await inner.deleteSession(handle, ofUser: subject)
    }
    func deleteSessions(ofUser subject: String, except kept: SessionID?) async throws -> Int {
        try await inner.deleteSessions(ofUser: subject, except: kept)
    }
    func deleteSessions(ofProviderSession sid: String) async throws -> Int {
        try await inner.deleteSessions(ofProviderSession: sid)
    }
    func deleteAllSessions() async throws -> Int { try await inner.deleteAllSessions() }

    func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try await inner.putRecord(record, key: key, lifetime: lifetime)
    }
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
