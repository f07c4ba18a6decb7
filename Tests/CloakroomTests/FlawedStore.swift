import Cloakroom
import CloakroomTesting
import Foundation
import Logging
import Synchronization

/// What the author of a directory, a transfer target or leases may get wrong, and the check that must find it.
enum Flaw: CaseIterable {
    // Lists.
    case listsEveryone, listsOldestFirst, listsEveryProviderSession, pagesDropTheLast, acceptsAnyCursor
    case countsEnded, countsEveryone, refreshUnlists, listsEnded, listIsUse
    case ignoresIssuer, ignoresDefaultIssuer, normalizesSubjects
    // Conditional ends and the app's own data.
    case beginsWithLess, conditionalEndAlways, conditionalEndLate, updateCreates, updateRevives, updateLosesOthers,
        updateForgets, updateTakesAll
    // Revocation.
    case revokesByHandleAlone, keepsNobody, keepsAnother, revokesProviderUsers, revokesSome, revokedStaysListed
    // The limit per user.
    case noLimit, endsTheNewest, limitCountsAtLeisure, limitCountsEnded
    // Notes.
    case notesNothing, notesTheSupposed, notesNoLimit, notesInvented
    // Transfer.
    case insertRenews, insertOverwrites, insertRevivesExpired, insertTellsAll, noTombstones, endlessTombstones
    case tombstoneLate
    // Leases.
    case leaseForAll, leaseForDead, renewForgets, leaseNeverEnds, releaseKeeps, completeKeepsLease, fenceless
    case fencesWithoutNeed, completeRevives
    case waitersSleep, releaseSleeps, logoutSleeps, waitForever, waitLooksAtNothing, waitIgnoresItsLimit

    var check: String {
        switch self {
        case .listsEveryone, .listsOldestFirst:
            "a user's sessions are listed by every replica, the newest first, as what they are"
        case .listsEveryProviderSession: "the sessions of a provider session are listed, whoever the user is"
        case .pagesDropTheLast: "pages cover all sessions, and end"
        case .acceptsAnyCursor: "a page that comes from another place is refused"
        case .countsEveryone: "sessions are counted, all and a user's"
        case .refreshUnlists: "a refresh leaves a session in the lists, once"
        case .listsEnded, .countsEnded: "R18: sessions that ended by themselves are in no list and in no count"
        case .listIsUse:
            "R18: a list is no use: unused sessions end and leave it, used ones stay and say when they were last seen"
        case .ignoresIssuer: "users and sessions of two providers with the same names are strangers to each other"
        case .ignoresDefaultIssuer: "the default issuer's users are found with and without its name"
        case .normalizesSubjects: "subjects that look the same but differ in their bytes are two users"
        case .beginsWithLess: "what a session begins with is read back by any replica"
        case .conditionalEndLate:
            "R24: of many races of a refresh against a conditional end, none ends the refreshed session"
        case .updateCreates: "an update of an unknown or deleted session answers nil and makes none"
        case .updateRevives: "R30: of many races of logout against an update, none revives the session"
        case .conditionalEndAlways: "R24: a session is ended on a condition only if its tokens are still the same"
        case .updateLosesOthers: "of 1,000 updates at once, on two replicas, none is lost"
        case .updateForgets: "the app's own data is read back by any replica, and survives a refresh"
        case .updateTakesAll: "attributes that are not fit to be stored are refused, and nothing is lost"
        case .revokesByHandleAlone: "R20: one session is ended by its handle, and only if it is that user's"
        case .keepsNobody, .keepsAnother: "R20: all sessions of a user but one are ended, and nobody else's"
        case .revokesProviderUsers: "R20: all sessions of a provider session are ended, and no others"
        case .revokesSome: "R20: all sessions are ended"
        case .revokedStaysListed: "R20: an ended session is in no list of any replica, however it was ended"
        case .noLimit, .endsTheNewest: "a login beyond the limit per user ends the oldest"
        case .limitCountsAtLeisure: "200 logins of one user at once never leave more live than the limit"
        case .limitCountsEnded: "ended sessions do not count towards the limit"
        case .notesNothing:
            "the reason for which a session was ended is told by every replica, whichever way it was ended"
        case .notesTheSupposed: "a stated reason is noted instead of the supposed one"
        case .notesNoLimit: "a session that a login beyond the limit has ended says so"
        case .notesInvented: "what ended by itself, and what never was, has no note"
        case .insertRenews: "a session is taken over under its ID, as it was, for every replica"
        case .insertOverwrites: "a session that is there already is not taken over again"
        case .insertRevivesExpired: "a session that is over is not taken over"
        case .insertTellsAll: "of 100 that take a session over at once, one does"
        case .noTombstones: "an ended session that has a tombstone is not taken over, by any replica"
        case .endlessTombstones: "a tombstone ends when it was said to, and not earlier"
        case .tombstoneLate: "R30: of many races of logout against taking over, none revives the session"
        case .leaseForAll: "of 200 that want to refresh a session, on two replicas, one may"
        case .leaseForDead: "a session that is unknown or has ended has no lease"
        case .renewForgets: "a lease that is renewed does not end"
        case .leaseNeverEnds:
            "a lease that is not renewed ends, another gets it, and the first does not get it back"
        case .releaseKeeps: "a lease that is given back is another's at once"
        case .completeKeepsLease: "a refresh under a lease stores the tokens and gives the lease back"
        case .fenceless: "one that lost its lease does not overwrite what another has stored since"
        case .fencesWithoutNeed:
            "one that lost its lease to nobody stores its tokens, which are the only good ones"
        case .completeRevives: "R30: of many races of logout against a refresh under a lease, none revives the session"
        case .waitersSleep: "all who wait for a refresh get its result soon, on every replica"
        case .releaseSleeps: "who waits for a refresh learns soon that the lease was given back"
        case .logoutSleeps: "who waits for a refresh learns soon that the session has ended"
        case .waitForever: "who waits for one that died learns that the lease is free when it ends"
        case .waitLooksAtNothing:
            "there is nothing to wait for when the tokens are other ones, the session has ended or nobody refreshes"
        case .waitIgnoresItsLimit: "a wait ends when its time is over, and when it is cancelled"
        }
    }
}

/// An in-memory store that is right but for one flaw, if it has one.
final class FlawedStore: SessionStore {
    private let inner: InMemorySessionStore
    private let policy: SessionPolicy
    private let flaw: Flaw?
    /// Every session that there was, in the order of creation.
    private let all = Mutex<[(id: SessionID, session: Session)]>([])

    init(_ flaw: Flaw?, policy: SessionPolicy) {
        let innerPolicy =
            switch flaw {
            case .noLimit, .endsTheNewest, .limitCountsAtLeisure, .limitCountsEnded:
                SessionPolicy(absoluteLifetime: policy.absoluteLifetime, idleTimeout: policy.idleTimeout)
            default: policy
            }
        self.inner = InMemorySessionStore(
            policy: innerPolicy, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        self.policy = policy
        self.flaw = flaw
    }

    func createSession(_ new: NewSession) async throws -> SessionID {
        let subject = new.userInfo.subject ?? ""
        if flaw == .limitCountsEnded, let maximum = policy.maximumPerUser {
            let older = all.withLock { $0.filter { $0.session.userInfo.subject == subject } }
            if older.count >= maximum { try await inner.deleteSession(older[older.count - maximum].id) }
        }
        var new = new
        if flaw == .beginsWithLess { new.client = nil }
        let id = try await inner.createSession(new)
        if let session = try await inner.session(for: id) { all.withLock { $0.append((id, session)) } }
        guard let maximum = policy.maximumPerUser else { return id }
        if flaw == .limitCountsAtLeisure || flaw == .endsTheNewest {
            let live = try await inner.sessions(ofUser: subject)
            guard live.count > maximum else { return id }
            if flaw == .limitCountsAtLeisure { try await Task.sleep(for: .milliseconds(1)) }
            let excess = flaw == .endsTheNewest ? live.prefix(1) : live.suffix(1)
            for summary in excess { _ = try await inner.deleteSession(summary.handle, ofUser: subject) }
        }
        return id
    }

    func session(for id: SessionID) async throws -> Session? { try await inner.session(for: id) }

    func deleteSession(_ id: SessionID) async throws {
        if flaw == .logoutSleeps {
            // Gone for readers only: who waits is not told.
            hidden.withLock { _ = $0.insert(id) }
            return
        }
        try await inner.deleteSession(id)
    }

    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        let session = try await inner.refreshSession(id, tokens: tokens)
        if flaw == .refreshUnlists { hidden.withLock { _ = $0.insert(id) } }
        return session
    }

    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        if flaw == .conditionalEndLate, try await inner.session(for: id)?.tokens == tokens {
            try await Task.sleep(for: .milliseconds(1))
            try await inner.deleteSession(id)
            return .ended
        }
        guard flaw == .conditionalEndAlways else { return try await inner.deleteSession(id, ifTokensAre: tokens) }
        try await inner.deleteSession(id)
        return .ended
    }
    func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? {
        switch flaw {
        case .updateLosesOthers:
            guard let session = try await inner.session(for: id) else { return nil }
            var attributes = session.attributes
            try change(&attributes)
            try await Task.sleep(for: .milliseconds(1))
            let changed = attributes
            return try await inner.updateSession(id) { $0 = changed }
        case .updateCreates:
            if let session = try await inner.updateSession(id, change) { return session }
            let session = Session(
                tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"), createdAt: .now,
                expiresAt: .now + 60)
            _ = try await inner.insertSession(session, for: id)
            return session
        case .updateRevives:
            guard let session = try await inner.session(for: id) else { return nil }
            try await Task.sleep(for: .milliseconds(1))
            if let updated = try await inner.updateSession(id, change) { return updated }
            _ = try await inner.insertSession(session, for: id)
            return session
        case .updateForgets: return try await inner.session(for: id)
        case .updateTakesAll:
            guard let session = try await inner.session(for: id) else { return nil }
            var attributes = session.attributes
            try change(&attributes)
            return session
        default: return try await inner.updateSession(id, change)
        }
    }

    func ping() async throws {}

    private let hidden = Mutex<Set<SessionID>>([])

    private func summaries(where isIncluded: (Session) -> Bool) -> [SessionSummary] {
        all.withLock { $0 }.filter { isIncluded($0.session) }
            .map { SessionSummary(of: $0.session, handle: $0.id.handle, lastSeenAt: nil) }.reversed()
    }
}

extension FlawedStore: SessionDirectory {
    func sessions(ofUser user: UserIdentity) async throws -> [SessionSummary] {
        let listed = try await inner.sessions(ofUser: user)
        switch flaw {
        case .ignoresDefaultIssuer: return user.issuer == nil ? [] : listed
        case .normalizesSubjects, .ignoresIssuer: return summaries { $0.userInfo.subject == user.subject }
        case .listsEveryone: return summaries { _ in true }
        case .listsOldestFirst: return listed.reversed()
        case .listsEnded, .revokedStaysListed: return summaries { $0.userInfo.subject == user.subject }
        case .refreshUnlists:
            let hidden = Set(hidden.withLock { $0 }.map(\.handle))
            return listed.filter { !hidden.contains($0.handle) }
        default: return listed
        }
    }

    func sessions(ofProviderSession session: ProviderSession) async throws -> [SessionSummary] {
        if flaw == .listsEveryProviderSession {
            return summaries { $0.providerSessionID?.hasPrefix(session.sid) == true }
        }
        return try await inner.sessions(ofProviderSession: session)
    }

    func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        if flaw == .acceptsAnyCursor { return SessionPage(sessions: [], next: nil) }
        let page = try await inner.sessions(after: cursor, limit: limit)
        if flaw == .listIsUse {
            for id in all.withLock({ $0.map(\.id) }) { _ = try await inner.session(for: id) }
        }
        if flaw == .pagesDropTheLast {
            return SessionPage(sessions: page.next == nil ? [] : page.sessions.dropLast(), next: page.next)
        }
        return page
    }

    func sessionCount() async throws -> Int {
        if flaw == .countsEnded { return all.withLock { $0.count } }
        return try await inner.sessionCount()
    }

    func sessionCount(ofUser user: UserIdentity) async throws -> Int {
        if flaw == .countsEveryone { return try await inner.sessionCount() }
        return try await inner.sessionCount(ofUser: user)
    }

    func deleteSession(_ handle: SessionHandle, ofUser user: UserIdentity?) async throws -> Bool {
        try await inner.deleteSession(handle, ofUser: flaw == .revokesByHandleAlone ? nil : user)
    }

    func deleteSessions(ofUser user: UserIdentity, except kept: SessionID?) async throws -> Int {
        switch flaw {
        case .keepsNobody: return try await inner.deleteSessions(ofUser: user, except: nil)
        case .keepsAnother:
            let other = all.withLock { $0.first { $0.session.userInfo.subject == user.subject }?.id }
            return try await inner.deleteSessions(ofUser: user, except: kept == nil ? nil : other)
        default: return try await inner.deleteSessions(ofUser: user, except: kept)
        }
    }

    func deleteSessions(ofProviderSession session: ProviderSession) async throws -> Int {
        guard flaw == .revokesProviderUsers else { return try await inner.deleteSessions(ofProviderSession: session) }
        var count = 0
        for summary in try await inner.sessions(ofProviderSession: session) {
            count += try await inner.deleteSessions(ofUser: summary.subject ?? "", except: nil)
        }
        return count
    }

    func deleteAllSessions() async throws -> Int {
        guard flaw == .revokesSome else { return try await inner.deleteAllSessions() }
        for summary in try await inner.sessions(after: nil, limit: 100).sessions {
            _ = try await inner.deleteSession(summary.handle, ofUser: nil)
        }
        return 120
    }
}

extension FlawedStore: SessionEndNotes {
    func endReason(of session: SessionHandle) async throws -> SessionEndReason? {
        let reason = try await inner.endReason(of: session)
        switch flaw {
        case .notesNothing: return nil
        case .notesTheSupposed: return reason == .revokedByOperator ? .revokedByUser : reason
        case .notesNoLimit: return reason == .limit ? .logout : reason
        case .notesInvented: return reason ?? .logout
        default: return reason
        }
    }
}

extension FlawedStore: SessionTransfer {
    func insertSession(_ session: Session, for id: SessionID) async throws -> Bool {
        switch flaw {
        case .insertRenews:
            let renewed = Session(
                tokens: session.tokens, userInfo: session.userInfo, createdAt: .now,
                expiresAt: .now.addingTimeInterval(3600))
            return try await inner.insertSession(renewed, for: id)
        case .insertOverwrites:
            try await inner.deleteSession(id)
            return try await inner.insertSession(session, for: id)
        case .insertRevivesExpired:
            let renewed = Session(
                tokens: session.tokens, userInfo: session.userInfo, createdAt: session.createdAt,
                expiresAt: .now.addingTimeInterval(3600))
            return try await inner.insertSession(renewed, for: id)
        case .insertTellsAll:
            _ = try await inner.insertSession(session, for: id)
            return true
        default: return try await inner.insertSession(session, for: id)
        }
    }

    func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws {
        switch flaw {
        case .noTombstones: try await inner.deleteSession(id)
        case .endlessTombstones: try await inner.deleteSession(id, tombstoneUntil: end.addingTimeInterval(3600))
        case .tombstoneLate:
            try await inner.deleteSession(id)
            for _ in 0..<8 { await Task.yield() }
            try await inner.insertMark(id)
        default: try await inner.deleteSession(id, tombstoneUntil: end)
        }
    }
}

extension InMemorySessionStore {
    /// A tombstone that does not end what was taken over meanwhile: that is, none.
    fileprivate func insertMark(_ id: SessionID) async throws {
        guard try await session(for: id) == nil else { return }
        try await deleteSession(id, tombstoneUntil: .now.addingTimeInterval(600))
    }
}

extension FlawedStore: RefreshLeaseStore {
    func acquireRefreshLease(for id: SessionID, lifetime: Duration) async throws -> RefreshLeaseAnswer {
        switch flaw {
        case .leaseForAll:
            guard let session = try await inner.session(for: id) else { return .ended }
            return .granted(RefreshLease(id: id, session: session, token: SessionID().secret))
        case .leaseForDead:
            return .granted(
                RefreshLease(
                    id: id,
                    session: Session(
                        tokens: TokenSet(accessToken: ""), userInfo: UserInfo(subject: ""), createdAt: .now,
                        expiresAt: .now), token: ""))
        case .leaseNeverEnds, .waitForever:
            return try await inner.acquireRefreshLease(for: id, lifetime: .seconds(3600))
        default: return try await inner.acquireRefreshLease(for: id, lifetime: lifetime)
        }
    }

    func renewRefreshLease(_ lease: RefreshLease, lifetime: Duration) async throws -> Bool {
        if flaw == .renewForgets { return true }
        return try await inner.renewRefreshLease(lease, lifetime: lifetime)
    }

    func releaseRefreshLease(_ lease: RefreshLease) async throws {
        if flaw == .releaseKeeps || flaw == .releaseSleeps { return }
        try await inner.releaseRefreshLease(lease)
    }

    func completeRefresh(_ lease: RefreshLease, tokens: TokenSet) async throws -> RefreshResult {
        switch flaw {
        case .completeKeepsLease:
            guard let session = try await inner.refreshSession(lease.id, tokens: tokens) else { return .ended }
            return .refreshed(session)
        case .fenceless:
            guard let session = try await inner.refreshSession(lease.id, tokens: tokens) else { return .ended }
            try await inner.releaseRefreshLease(lease)
            return .refreshed(session)
        case .fencesWithoutNeed:
            guard try await inner.renewRefreshLease(lease, lifetime: .seconds(60)) else {
                return .superseded(lease.session)
            }
            return try await inner.completeRefresh(lease, tokens: tokens)
        case .completeRevives:
            let session = lease.session.refreshed(with: tokens, at: .now)
            guard try await inner.session(for: lease.id) != nil else { return .ended }
            for _ in 0..<4 { await Task.yield() }
            try await inner.deleteSession(lease.id)
            _ = try await inner.insertSession(session, for: lease.id)
            return .refreshed(session)
        case .waitersSleep:
            // Refreshed under another's nose: nobody who waits is told.
            return .refreshed(lease.session.refreshed(with: tokens, at: .now))
        default: return try await inner.completeRefresh(lease, tokens: tokens)
        }
    }

    func waitForRefresh(
        of id: SessionID, after stale: Session, atMost limit: Duration
    ) async throws -> RefreshWait {
        switch flaw {
        case .waitersSleep, .releaseSleeps, .logoutSleeps, .waitForever:
            // As long as the check would wait, but at once.
            let wait = try await inner.waitForRefresh(of: id, after: stale, atMost: .milliseconds(500))
            return wait
        case .waitLooksAtNothing:
            return .timedOut
        case .waitIgnoresItsLimit:
            _ = try await inner.waitForRefresh(of: id, after: stale, atMost: .milliseconds(300))
            return .free
        default:
            return try await inner.waitForRefresh(of: id, after: stale, atMost: limit)
        }
    }
}
