import Cloakroom
import CloakroomRedis
import Foundation
import Synchronization
import TestSupport

/// Tasks that log users in without end, each create with a user of its own, and a ledger of what each was answered, which
/// is held against what Redis has in the end.
final class CreateLedger: Sendable {
    struct Acknowledged: Sendable {
        let id: SessionID
        let subject: String
        let time: Date
    }

    private struct Entries: Sendable {
        var acknowledged: [Acknowledged] = []
        var creates = CreateOutcomes()
        var errors: ErrorTally
    }

    /// What Redis has in the end.
    struct Outcome {
        let acknowledged: Int
        let refused: Int
        let uncertain: Int
        /// Acknowledged, and not there.
        let lost: [Acknowledged]
        /// What creates have ended with otherwise.
        let errors: ErrorTally
        let problems: [String]
    }

    private let stores: [RedisSessionStore]
    private let taskCount: Int
    private let entries: Mutex<Entries>

    /// - Parameter tolerated: what a create may end with while the primary changes.
    init(stores: [RedisSessionStore], taskCount: Int = 12, tolerated: Set<SessionStoreError.Code>) {
        self.stores = stores
        self.taskCount = taskCount
        entries = Mutex(Entries(errors: ErrorTally(tolerated: tolerated)))
    }

    var acknowledgedCount: Int { entries.withLock { $0.acknowledged.count } }

    /// Logs users in for as long as `body` takes.
    func run(_ body: () async throws -> Void) async throws {
        let isOver = Counter()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<taskCount { group.addTask { try await self.work(task, until: { isOver.value > 0 }) } }
            defer { isOver.increment() }
            try await body()
        }
    }

    private func work(_ task: Int, until isOver: () -> Bool) async throws {
        let store = stores[task % stores.count]
        var number = 0
        while !isOver() {
            number += 1
            let subject = "user-\(task)-\(number)"
            do {
                let id = try await store.createSession(tokens: .sample(), userInfo: UserInfo(subject: subject))
                let acknowledged = Acknowledged(id: id, subject: subject, time: Date())
                entries.withLock { entries in
                    entries.acknowledged.append(acknowledged)
                    entries.creates.acknowledged.append(id)
                }
            } catch {
                entries.withLock { entries in
                    entries.errors.note(error)
                    entries.creates.noteFailure(of: subject, error)
                }
            }
            // Sentinels that get no processor time take servers for dead, and a replica must not have gigabytes to copy.
            try await Task.sleep(for: .milliseconds(15))
        }
    }

    /// Waits until so many more logins were acknowledged.
    func grow(by count: Int = 200) async throws {
        let start = acknowledgedCount
        try await eventually("the load goes on", within: .seconds(40)) { acknowledgedCount > start + count }
    }

    /// The longest time without an acknowledged login that begins or ends within `range`, in milliseconds.
    func longestGap(in range: ClosedRange<Date>) -> Int {
        let times = entries.withLock { $0.acknowledged.map(\.time) }.sorted()
        var longest = 0.0
        for (time, next) in zip(times, times.dropFirst()) where range.contains(time) || range.contains(next) {
            longest = max(longest, next.timeIntervalSince(time))
        }
        return Int(longest * 1000)
    }

    /// How many of these logins were acknowledged in each of the times between `marks`.
    static func counts(_ sessions: [Acknowledged], between marks: [Date]) -> [Int] {
        zip(marks, marks.dropFirst()).map { start, end in sessions.count { $0.time >= start && $0.time < end } }
    }

    /// Holds the ledger against what Redis has.
    ///
    /// - Parameter keys: the keys of the sessions that Redis has.
    func settle(_ keys: () throws -> Set<String>) async throws -> Outcome {
        let entries = entries.withLock { $0 }
        var problems = entries.errors.problems
        problems += try await entries.creates.ghosts(keys, in: stores[0])
        let present = try keys()
        var lost: [Acknowledged] = []
        for session in entries.acknowledged {
            let isPresent = present.contains(CreateOutcomes.key(session.id))
            if !isPresent { lost.append(session) }
            // From the copies that a store keeps too: none may outlive the session.
            let found = try await stores[0].session(for: session.id)
            if (found != nil) != isPresent { problems.append("a store and Redis differ about a session") }
            if let found, found.userInfo.subject != session.subject { problems.append("a wrong user") }
        }
        return Outcome(
            acknowledged: entries.acknowledged.count, refused: entries.creates.refused.count,
            uncertain: entries.creates.uncertain.count, lost: lost, errors: entries.errors, problems: problems)
    }
}
