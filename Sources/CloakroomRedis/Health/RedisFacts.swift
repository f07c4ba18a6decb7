import CloakroomRedisClient

/// What a server told of itself. `nil` stands for what it did not tell.
struct RedisFacts: Sendable {
    /// Why something could not be learnt.
    enum Refusal: Sendable, Equatable {
        case notPermitted
        case failed(String)
    }

    /// The median of a few round trips.
    var roundTrip: Duration?
    var info: Result<RedisInfo, RedisFactError> = .failure(RedisFactError(.failed("not asked")))
    /// `CONFIG GET save`: empty when no snapshots are taken.
    var save: Result<String, RedisFactError> = .failure(RedisFactError(.failed("not asked")))
    /// `CONFIG GET appendonly`.
    var appendOnly: Result<String, RedisFactError> = .failure(RedisFactError(.failed("not asked")))
    /// `CONFIG GET maxmemory-policy`, where INFO does not tell.
    var policy: Result<String, RedisFactError> = .failure(RedisFactError(.failed("not asked")))
    /// `CLUSTER INFO`; `nil` when the URL is not that of a cluster.
    var cluster: Result<RedisInfo, RedisFactError>?
    /// What the server said to a write, a script and a read that takes away, as sessions need them.
    var writes: Result<Void, RedisFactError> = .success(())
    /// What it said to `CLIENT TRACKING ON`.
    var tracking: Result<Void, RedisFactError> = .success(())
    /// How many keys of sessions were looked at, and how many of them have no TTL.
    var lifetimes: Result<(seen: Int, endless: Int, isComplete: Bool), RedisFactError> =
        .failure(RedisFactError(.failed("not asked")))
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
        }
    }
}
