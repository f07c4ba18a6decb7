import Cloakroom
import CloakroomRedis
import Foundation
import Synchronization
import TestSupport

/// Tasks that log in, refresh, log out and read without end, each keeping a ledger of what was acknowledged, and hold every
/// answer against it.
final class SessionLoad: Sendable {
    private struct Record {
        var acknowledged = 0
        var creates = CreateOutcomes()
        /// The sessions that must be there in the end, and those that must not.
        var live: Set<String> = []
        var ended: Set<String> = []
        var errors: ErrorTally
        var firstWriteSinceMark: Date?
    }

    /// What one task knows of one of its sessions.
    private struct Entry {
        let id: SessionID
        let subject: String
        /// The last version that was acknowledged, and the last that may have been stored.
        var version = 0
        var latest = 0
        var isDeleted = false
        var mayBeDeleted = false
    }

    private let stores: [RedisSessionStore]
    private let record: Mutex<Record>
    private let taskCount = 12

    /// - Parameter tolerated: what a call may end with while servers go and come.
    init(stores: [RedisSessionStore], tolerated: Set<SessionStoreError.Code>) {
        self.stores = stores
        record = Mutex(Record(errors: ErrorTally(tolerated: tolerated)))
    }

    var acknowledged: Int { record.withLock { $0.acknowledged } }
    var problems: [String] { record.withLock { $0.errors.problems } }
    var errors: ErrorTally { record.withLock { $0.errors } }
    var creates: CreateOutcomes { record.withLock { $0.creates } }
    var firstWriteSinceMark: Date? { record.withLock { $0.firstWriteSinceMark } }

    /// Begins to look for the next acknowledged write.
    func mark() { record.withLock { $0.firstWriteSinceMark = nil } }

    /// Runs the load while `body` does, then reads everything once more.
    func run(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let isOver = Counter()
            for task in 0..<taskCount { group.addTask { try await self.work(task, until: { isOver.value > 0 }) } }
            do {
                try await body()
                isOver.increment()
                try await group.waitForAll()
            } catch {
                isOver.increment()
                throw error
            }
        }
    }

    private func work(_ task: Int, until isOver: () -> Bool) async throws {
        let store = stores[task % stores.count]
        var entries: [Entry] = []
        var number = 0
        var generator = SeededGenerator("load of task \(task)")
        while !isOver() {
            number += 1
            // Sentinels and nodes that get no processor time take each other for dead.
            try await Task.sleep(for: .milliseconds(2))
            // Those that were deleted stay for a while: none may come back. All are looked at once more in the end.
            let recent = entries.indices.suffix(120)
            let live = recent.filter { !entries[$0].isDeleted && !entries[$0].mayBeDeleted }
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<3 where live.count < 30:
                await create("user-\(task)-\(number)", in: store, &entries)
            case 3..<6:
                if let index = live.randomElement(using: &generator) { await refresh(&entries[index], in: store) }
            case 6:
                if live.count > 10, let index = live.randomElement(using: &generator) {
                    await delete(&entries[index], in: store)
                }
            default:
                if let index = recent.randomElement(using: &generator) { await check(&entries[index], in: store) }
            }
        }
        // Another replica must say the same, once the reports of the last changes have come.
        let other = stores[(task + 1) % stores.count]
        try await Task.sleep(for: .milliseconds(200))
        for index in entries.indices {
            try await eventually("every session can be looked at") { await check(&entries[index], in: other) }
        }
        record.withLock { record in
            for entry in entries where entry.isDeleted || !entry.mayBeDeleted {
                let key = CreateOutcomes.key(entry.id)
                if entry.isDeleted { record.ended.insert(key) } else { record.live.insert(key) }
            }
        }
    }

    /// Holds what was answered against what Redis has, once the load is over.
    ///
    /// - Parameter keys: the keys of the sessions that Redis has.
    func settle(_ keys: () throws -> Set<String>) async throws {
        let record = record.withLock { $0 }
        let ghosts = try await record.creates.ghosts(keys, in: stores[0])
        let present = try keys()
        let lost = record.live.subtracting(present).count
        let undone = record.ended.intersection(present).count
        ghosts.forEach(problem)
        if lost > 0 { problem("\(lost) acknowledged sessions are not in Redis") }
        if undone > 0 { problem("\(undone) sessions are in Redis whose logout was acknowledged") }
    }

    private func create(_ subject: String, in store: RedisSessionStore, _ entries: inout [Entry]) async {
        await attempt {
            do {
                let id = try await store.createSession(
                    tokens: TokenSet(accessToken: "0"), userInfo: UserInfo(subject: subject))
                entries.append(Entry(id: id, subject: subject))
                self.record.withLock { $0.creates.acknowledged.append(id) }
            } catch {
                self.record.withLock { $0.creates.noteFailure(of: subject, error) }
                throw error
            }
            self.noteWrite()
        }
    }

    private func refresh(_ entry: inout Entry, in store: RedisSessionStore) async {
        entry.latest += 1
        let version = entry.latest
        await attempt {
            let session = try await store.refreshSession(entry.id, tokens: TokenSet(accessToken: "\(version)"))
            guard let session else {
                return self.problem("an acknowledged session was lost: it could not be refreshed")
            }
            if session.userInfo.subject != entry.subject { self.problem("a wrong user") }
            entry.version = version
            self.noteWrite()
        }
    }

    private func delete(_ entry: inout Entry, in store: RedisSessionStore) async {
        entry.mayBeDeleted = true
        await attempt {
            try await store.deleteSession(entry.id)
            entry.isDeleted = true
            self.noteWrite()
        }
    }

    /// - Returns: whether the store could tell.
    @discardableResult
    private func check(_ entry: inout Entry, in store: RedisSessionStore) async -> Bool {
        var couldTell = false
        await attempt {
            let session = try await store.session(for: entry.id)
            couldTell = true
            guard let session else {
                if !entry.mayBeDeleted { self.problem("an acknowledged session was lost") }
                return
            }
            if entry.isDeleted { self.problem("an acknowledged logout was undone") }
            if session.userInfo.subject != entry.subject { self.problem("a wrong user") }
            guard let version = Int(session.tokens.accessToken), (entry.version...entry.latest).contains(version) else {
                return self.problem("an acknowledged refresh was lost")
            }
        }
        return couldTell
    }

    /// A failure of a kind that is tolerated is the caller's to know, and no breach; any other is.
    private func attempt(_ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            record.withLock { $0.errors.note(error) }
            // A caller that is refused comes back a little later.
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    private func problem(_ text: String) { record.withLock { $0.errors.problem(text) } }

    private func noteWrite() {
        record.withLock { record in
            record.acknowledged += 1
            if record.firstWriteSinceMark == nil { record.firstWriteSinceMark = Date() }
        }
    }
}
