import Cloakroom
import CloakroomRedis
import Foundation
import Synchronization

/// Tasks that log users in without end, each create with a user of its own, and a ledger of what each was answered, which
/// is held against what Redis has in the end.
final class CreateLedger: Sendable {
    struct Acknowledged: Sendable {
        let id: SessionID
        let subject: String
        let time: Date
    }

    struct Entries: Sendable {
        var acknowledged: [Acknowledged] = []
        /// The users whose create was refused, with a known outcome: there is no such session.
        var refused: [String] = []
        /// The users whose create has failed though it may have been carried out: the session must be gone soon.
        var uncertain: [String] = []
        /// What no create may be answered.
        var problems: [String] = []
    }

    /// What Redis has in the end.
    struct Outcome {
        let acknowledged: Int
        let refused: Int
        let uncertain: Int
        /// Acknowledged, and not there.
        let lost: [Acknowledged]
        let problems: [String]
    }

    private let stores: [RedisSessionStore]
    private let taskCount: Int
    /// The errors that a create may end with while the primary changes.
    private let tolerated: Set<SessionStoreError.Code>
    private let entries = Mutex(Entries())

    init(stores: [RedisSessionStore], taskCount: Int = 12, tolerated: Set<SessionStoreError.Code>) {
        self.stores = stores
        self.taskCount = taskCount
        self.tolerated = tolerated
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
                entries.withLock { $0.acknowledged.append(acknowledged) }
            } catch let error as SessionStoreError {
                entries.withLock { entries in
                    // One that replicas have not confirmed was made, and is removed again.
                    if error.isOutcomeKnown, error.code != .notReplicated {
                        entries.refused.append(subject)
                    } else {
                        entries.uncertain.append(subject)
                    }
                    if !tolerated.contains(error.code) { entries.problems.append("\(error)") }
                }
            } catch {
                entries.withLock { $0.problems.append("an error of another kind: \(type(of: error))") }
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
    /// - Parameter count: how many sessions Redis has.
    func settle(_ count: () throws -> Int) async throws -> Outcome {
        let entries = entries.withLock { $0 }
        var problems = entries.problems
        var lost: [Acknowledged] = []
        for session in entries.acknowledged {
            guard let found = try await stores[0].session(for: session.id) else {
                lost.append(session)
                continue
            }
            if found.userInfo.subject != session.subject { problems.append("a wrong user") }
        }
        for subject in entries.refused {
            if try await !stores[0].sessions(ofUser: subject).isEmpty {
                problems.append("a refused create has left a session")
            }
        }
        let live = entries.acknowledged.count - lost.count
        do {
            try await eventually("no session is there that nobody was given", within: .seconds(20)) {
                try count() == live
            }
        } catch {
            problems.append("\(try count() - live) sessions are there that nobody was given")
        }
        return Outcome(
            acknowledged: entries.acknowledged.count, refused: entries.refused.count,
            uncertain: entries.uncertain.count, lost: lost, problems: problems)
    }
}
