import Cloakroom
import CloakroomRedis
import Foundation
import Synchronization

/// Tasks that log in, refresh, log out and read without end, each keeping a ledger of what was acknowledged, and hold every
/// answer against it.
final class SessionLoad: Sendable {
    struct Record {
        var acknowledged = 0
        var problems: [String] = []
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
    private let record = Mutex(Record())
    private let taskCount = 12

    init(stores: [RedisSessionStore]) { self.stores = stores }

    var acknowledged: Int { record.withLock { $0.acknowledged } }
    var problems: [String] { record.withLock { $0.problems } }
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
        while !isOver() {
            number += 1
            // Sentinels and nodes that get no processor time take each other for dead.
            try await Task.sleep(for: .milliseconds(2))
            // Those that were deleted stay for a while: none may come back.
            if entries.count > 120 { entries.removeFirst(20) }
            let live = entries.indices.filter { !entries[$0].isDeleted && !entries[$0].mayBeDeleted }
            switch Int.random(in: 0..<10) {
            case 0..<3 where live.count < 30:
                await create("user-\(task)-\(number)", in: store, &entries)
            case 3..<6:
                if let index = live.randomElement() { await refresh(&entries[index], in: store) }
            case 6:
                if live.count > 10, let index = live.randomElement() { await delete(&entries[index], in: store) }
            default:
                if let index = entries.indices.randomElement() { await check(&entries[index], in: store) }
            }
        }
        // Another replica must say the same, once the reports of the last changes have come.
        let other = stores[(task + 1) % stores.count]
        try await Task.sleep(for: .milliseconds(200))
        for index in entries.indices {
            try await eventually("every session can be looked at") { await check(&entries[index], in: other) }
        }
    }

    private func create(_ subject: String, in store: RedisSessionStore, _ entries: inout [Entry]) async {
        await attempt {
            let id = try await store.createSession(
                tokens: TokenSet(accessToken: "0"), userInfo: UserInfo(subject: subject))
            entries.append(Entry(id: id, subject: subject))
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

    /// A failure is the caller's to know, and no breach; one of an unknown kind is.
    private func attempt(_ body: () async throws -> Void) async {
        do {
            try await body()
        } catch is SessionStoreError {
            // A caller that is refused comes back a little later.
            try? await Task.sleep(for: .milliseconds(5))
        } catch {
            problem("an error of another kind: \(type(of: error))")
        }
    }

    private func problem(_ text: String) {
        record.withLock { record in if record.problems.count < 50 { record.problems.append(text) } }
    }

    private func noteWrite() {
        record.withLock { record in
            record.acknowledged += 1
            if record.firstWriteSinceMark == nil { record.firstWriteSinceMark = Date() }
        }
    }
}
