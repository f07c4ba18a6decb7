import Cloakroom
import CloakroomRedis
import TestSupport

/// Counts what calls end with while the primary changes, and tells what may be from what may not.
struct ErrorTally: Sendable {
    /// The codes that a call may end with, and no other.
    let tolerated: Set<SessionStoreError.Code>
    /// How many there were that are tolerated.
    private(set) var count = 0
    /// What no call may end with; the first 50.
    private(set) var problems: [String] = []
    /// How often each was seen, by what it says.
    private var counts: [String: Int] = [:]

    init(tolerated: Set<SessionStoreError.Code>) { self.tolerated = tolerated }

    mutating func note(_ error: any Error) {
        guard let error = error as? SessionStoreError else {
            return problem("an error of another kind: \(type(of: error))")
        }
        counts["\(error)", default: 0] += 1
        if tolerated.contains(error.code) { count += 1 } else { problem("\(error)") }
    }

    mutating func problem(_ text: String) {
        if problems.count < 50 { problems.append(text) }
    }
}

extension ErrorTally: CustomStringConvertible {
    var description: String {
        counts.isEmpty ? "no errors" : counts.map { "\($0.value) times \($0.key)" }.sorted().joined(separator: "; ")
    }
}

/// What became of the creates of a load, each of which has a user of its own.
struct CreateOutcomes: Sendable {
    /// The sessions whose IDs callers were given.
    var acknowledged: [SessionID] = []
    /// The users whose create was refused, with a known outcome: there is no such session.
    var refused: [String] = []
    /// The users whose create has failed though it may have been carried out: the session must be gone soon.
    var uncertain: [String] = []

    mutating func noteFailure(of subject: String, _ error: any Error) {
        // One that replicas have not confirmed was made, and is removed again.
        if let error = error as? SessionStoreError, error.isOutcomeKnown, error.code != .notReplicated {
            refused.append(subject)
        } else {
            uncertain.append(subject)
        }
    }

    /// What is wrong with the sessions that Redis has and users' lists show: those that nobody was given.
    ///
    /// - Parameter keys: the keys of the sessions that Redis has.
    func ghosts(_ keys: () throws -> Set<String>, in store: RedisSessionStore) async throws -> [String] {
        var problems: [String] = []
        // At once: nothing was made that could be removed yet.
        for subject in refused where try await !store.sessions(ofUser: subject).isEmpty {
            problems.append("a refused create has left a session")
        }
        let given = Set(acknowledged.map(Self.key))
        do {
            // A create that may have been carried out is removed beside its caller, again and again for some seconds.
            try await eventually("no session is there that nobody was given", within: .seconds(20)) {
                try keys().isSubset(of: given)
            }
        } catch is Failure {
            problems.append("\(try keys().subtracting(given).count) sessions are there that nobody was given")
        }
        for subject in uncertain where try await !store.sessions(ofUser: subject).isEmpty {
            problems.append("a create that failed is in its user's list")
        }
        return problems
    }

    static func key(_ id: SessionID) -> String { "session:\(id.secret)" }
}
