import Cloakroom
import CloakroomRedisClient

/// What a server told of itself.
struct RedisFacts: Sendable {
    /// Why something could not be learnt.
    enum Refusal: Sendable, Equatable {
        case notPermitted
        case failed(String)
        /// It would write, and nothing may be written.
        case notTried
    }

    /// What the slow log holds of the last hour.
    struct SlowLog: Sendable, Equatable {
        /// How many commands; at most as many as were asked for.
        var count = 0
        /// How long the slowest of them took.
        var worst: Duration = .zero
        /// Its name.
        var command = ""
    }

    /// What is in another database of the same server.
    struct OtherDatabase: Sendable, Equatable {
        let number: Int
        /// How many keys of sessions were found; a lower bound in a large database.
        let sessions: Int
    }

    /// How long each of a few round trips took; empty if none was made.
    var roundTrips: [Duration] = []
    var info: Result<RedisInfo, RedisFactError> = .notAsked
    /// `CONFIG GET save`: empty when no snapshots are taken.
    var save: Result<String, RedisFactError> = .notAsked
    /// `CONFIG GET appendonly`.
    var appendOnly: Result<String, RedisFactError> = .notAsked
    /// `CONFIG GET maxmemory-policy`, where INFO does not tell.
    var policy: Result<String, RedisFactError> = .notAsked
    /// `CLUSTER INFO`; `nil` when the URL is not that of a cluster.
    var cluster: Result<RedisInfo, RedisFactError>?
    /// What the server said to a write, a script and a read that takes away, as sessions need them.
    var writes: Result<Void, RedisFactError> = .success(())
    /// What it said to `CLIENT TRACKING ON`.
    var tracking: Result<Void, RedisFactError> = .success(())
    /// By how much the server's clock is ahead of ours; negative if it is behind.
    var clock: Result<Duration, RedisFactError> = .notAsked
    var slowLog: Result<SlowLog, RedisFactError> = .notAsked
    /// A sample of the keys.
    var keys: Result<KeySample, RedisFactError> = .notAsked
    /// Other databases that hold sessions under the same prefix.
    var otherDatabases: [OtherDatabase] = []

    /// The middle one of the round trips.
    var roundTrip: Duration? { roundTrips.isEmpty ? nil : roundTrips.sorted()[roundTrips.count / 2] }
}

/// What a look at some of a server's keys brought.
struct KeySample: Sendable, Equatable {
    /// How many keys were looked at, of whatever kind.
    var looked = 0
    /// Whether those were all.
    var isComplete = true
    /// How many of them are sessions'.
    var sessions = 0
    /// How many of those have no TTL.
    var endless = 0
    /// How many sessions were measured, and how many bytes they take together.
    var measured = 0
    var measuredBytes = 0
    /// Of how many sessions the value was looked at, by its form.
    var forms: [RecordForm: Int] = [:]
    /// Prefixes, other than ours, of keys that hold sessions, and how many keys have them.
    var otherPrefixes: [String: Int] = [:]
    /// Prefixes, other than ours, under which replicas have announced themselves.
    var registryPrefixes: Set<String> = []
}

extension Result where Failure == RedisFactError {
    static var notAsked: Self { .failure(RedisFactError(.failed("not asked"))) }
}

/// Why something could not be learnt.
struct RedisFactError: Error, Sendable, Equatable {
    let refusal: RedisFacts.Refusal
    /// What Redis meant, if it was Redis that refused.
    let kind: RedisServerError.Kind?

    init(_ refusal: RedisFacts.Refusal, kind: RedisServerError.Kind? = nil) {
        self.refusal = refusal
        self.kind = kind
    }

    init(_ error: any Error) {
        switch error {
        case let error as RedisFactError: self = error
        case let error as RedisServerError where error.kind == .notPermitted || error.kind == .unknownCommand:
            self.init(.notPermitted, kind: error.kind)
        case let error as RedisServerError: self.init(.failed(error.description), kind: error.kind)
        case let error as RedisClientError: self.init(.failed(error.reason))
        default: self.init(.failed("\(type(of: error))"))
        }
    }

    /// For the report.
    var detail: String {
        switch refusal {
        case .notPermitted: "unknown: not permitted"
        case .failed(let reason): "unknown: \(reason)"
        case .notTried: "unknown: not tried"
        }
    }
}
