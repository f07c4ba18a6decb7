import Cloakroom
import CloakroomTesting
import Foundation
import Synchronization

/// What the author of a store may get wrong, and the check that must find it.
enum Mistake: CaseIterable {
    case predictableIDs, ignoresCase, truncatesIDs, deletesByUser, forgetsClaims, ignoresPolicy
    case cachesReads, refreshCreates, refreshRevives, refreshExtends, refreshIsUse
    case refreshReplacesAll, refreshForgetsMembers, refreshForgetsItsTime
    case ignoresIdleLimit, useExtendsAbsoluteLimit, useRevives

    var check: String {
        switch self {
        case .predictableIDs: "R17: an ID has 128 random bits at least"
        case .ignoresCase, .truncatesIDs: "an ID that differs in one character or in case is another"
        case .deletesByUser: "a deleted session is gone for every replica, and deleting again is no error"
        case .forgetsClaims: "a created session is read back as it was, by any replica"
        case .ignoresPolicy: "a session's times follow the policy"
        case .cachesReads: "R20: a replica that has read a session sees its refresh and its end"
        case .refreshCreates: "R30: a refresh of an unknown or deleted session answers nil and makes none"
        case .refreshRevives: "R30: of many races of logout against refresh, none revives the session"
        case .refreshExtends: "R18: a session ends at its absolute limit, whatever use and refreshes"
        case .refreshIsUse: "R18: a refresh is no use: it does not move the idle limit"
        case .refreshReplacesAll: "R22: a refresh without a refresh token or ID token keeps the old ones"
        case .refreshForgetsMembers: "members of the tokens that the store does not know survive a refresh"
        case .refreshForgetsItsTime: "a refresh replaces the tokens and nothing else"
        case .ignoresIdleLimit: "R18: an unused session ends at its idle limit"
        case .useExtendsAbsoluteLimit:
            "R18: use keeps a session beyond the idle limit, but never beyond the absolute one"
        case .useRevives: "R30: of many races of logout against use, with an idle limit, none revives the session"
        }
    }
}

/// One replica of a store over a table that replicas share; right but for one mistake, if it has one.
final class WrongStore: SessionStore {
    struct Row {
        var session: Session
        var lastUse: Date
    }

    /// What the replicas share.
    final class Table: Sendable {
        let rows = Mutex<[String: Row]>([:])
        let created = Atomic<Int>(0)
    }

    private let table: Table
    private let policy: SessionPolicy
    private let mistake: Mistake?
    private let cache = Mutex<[String: Session]>([:])

    private init(table: Table, policy: SessionPolicy, mistake: Mistake?) {
        self.table = table
        self.policy = policy
        self.mistake = mistake
    }

    static func subject(_ mistake: Mistake?, policy: SessionPolicy) -> ConformanceSubject {
        let table = Table()
        return ConformanceSubject(
            store: WrongStore(table: table, policy: policy, mistake: mistake),
            replica: WrongStore(table: table, policy: policy, mistake: mistake))
    }

    func createSession(_ new: NewSession) async throws -> SessionID {
        let number = table.created.add(1, ordering: .relaxed).newValue
        let id = mistake == .predictableIDs ? SessionID("session-number-\(1_000_000 + number)") : SessionID()
        guard let id else { throw SessionStoreError(.rejected, reason: "no ID") }
        var new = new
        if mistake == .forgetsClaims { new.userInfo = UserInfo(subject: new.userInfo.subject ?? "") }
        let session = try Session(
            beginningAt: Date(), policy: mistake == .ignoresPolicy ? SessionPolicy() : policy, new)
        table.rows.withLock { $0[key(id)] = Row(session: session, lastUse: Date()) }
        return id
    }

    func session(for id: SessionID) async throws -> Session? {
        let key = key(id)
        if mistake == .cachesReads, let cached = cache.withLock({ $0[key] }) { return cached }
        guard var row = live(key) else { return nil }
        cache.withLock { $0[key] = row.session }
        row.lastUse = Date()
        if mistake == .useExtendsAbsoluteLimit { row.session = extended(row.session) }
        if mistake == .useRevives { try await Task.sleep(for: .milliseconds(1)) }
        store(row, under: key, always: mistake == .useRevives)
        return row.session
    }

    func deleteSession(_ id: SessionID) async throws {
        let key = key(id)
        cache.withLock { $0[key] = nil }
        table.rows.withLock { rows in
            let row = rows.removeValue(forKey: key)
            guard mistake == .deletesByUser else { return }
            rows = rows.filter { $0.value.session.userInfo.subject != row?.session.userInfo.subject }
        }
    }

    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        let key = key(id)
        if mistake == .refreshRevives {
            guard let row = live(key) else { return nil }
            try await Task.sleep(for: .milliseconds(1))
            let refreshed = refresh(row, tokens)
            store(refreshed, under: key, always: true)
            return refreshed.session
        }
        return table.rows.withLock { rows in
            guard let row = rows[key], isLive(row) else {
                guard mistake == .refreshCreates else { return nil }
                let new = NewSession(tokens: tokens, userInfo: UserInfo(subject: "unknown"))
                guard let session = try? Session(beginningAt: Date(), policy: policy, new) else { return nil }
                rows[key] = Row(session: session, lastUse: Date())
                return session
            }
            let refreshed = refresh(row, tokens)
            rows[key] = refreshed
            return refreshed.session
        }
    }

    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        table.rows.withLock { rows in
            guard let row = rows[key(id)], isLive(row) else { return .absent }
            guard row.session.tokens == tokens else { return .changed(row.session) }
            rows[key(id)] = nil
            return .ended
        }
    }

    func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        let updated = try table.rows.withLock { rows -> Session? in
            guard var row = rows[key(id)], isLive(row) else { return nil }
            var attributes = row.session.attributes
            try change(&attributes)
            row.session = try row.session.updated(with: attributes)
            rows[key(id)] = row
            return row.session
        }
        if let updated { cache.withLock { $0[key(id)] = updated } }
        return updated
    }

    func ping() async throws {}

    private func key(_ id: SessionID) -> String {
        switch mistake {
        case .ignoresCase: id.secret.lowercased()
        case .truncatesIDs: String(id.secret.prefix(32))
        default: id.secret
        }
    }

    private func live(_ key: String) -> Row? {
        table.rows.withLock { rows in rows[key].flatMap { isLive($0) ? $0 : nil } }
    }

    private func isLive(_ row: Row) -> Bool {
        if row.session.isExpired(at: Date()) { return false }
        guard let idleTimeout = policy.idleTimeout, mistake != .ignoresIdleLimit else { return true }
        return Date() < row.lastUse.addingTimeInterval(idleTimeout / .seconds(1))
    }

    private func store(_ row: Row, under key: String, always: Bool) {
        table.rows.withLock { rows in
            guard always || rows[key] != nil else { return }
            // The tokens are a refresh's to change.
            var row = row
            if !always, let current = rows[key], mistake != .useExtendsAbsoluteLimit { row.session = current.session }
            rows[key] = row
        }
    }

    private func refresh(_ row: Row, _ tokens: TokenSet) -> Row {
        let now = Date()
        var session = row.session.refreshed(with: tokens, at: now)
        switch mistake {
        case .refreshExtends: session = extended(session)
        case .refreshReplacesAll: session.tokens = tokens
        case .refreshForgetsMembers: session.tokens.otherFields = [:]
        case .refreshForgetsItsTime:
            session = Session(
                tokens: session.tokens, userInfo: session.userInfo, createdAt: session.createdAt,
                expiresAt: session.expiresAt, issuer: session.issuer, providerSessionID: session.providerSessionID,
                client: session.client, attributes: session.attributes)
        default: break
        }
        return Row(session: session, lastUse: mistake == .refreshIsUse ? now : row.lastUse)
    }

    /// Ends a whole lifetime from now.
    private func extended(_ session: Session) -> Session {
        Session(
            tokens: session.tokens, userInfo: session.userInfo, createdAt: session.createdAt,
            expiresAt: Date().addingTimeInterval(policy.absoluteLifetime / .seconds(1)),
            refreshedAt: session.refreshedAt, issuer: session.issuer, providerSessionID: session.providerSessionID,
            client: session.client, attributes: session.attributes)
    }
}
