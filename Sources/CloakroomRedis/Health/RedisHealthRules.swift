import CloakroomRedisClient

/// What the facts of a server mean for sessions.
struct RedisHealthRules: Sendable {
    let facts: RedisFacts
    /// Whether `REDIS_URL` names a cluster.
    let expectsCluster: Bool
    /// `REDIS_WAIT_REPLICAS`.
    let waitReplicas: Int
    /// Whether the near cache is on.
    let usesNearCache: Bool
    /// `REDIS_KEY_PREFIX`.
    var keyPrefix = "session:"
    /// The number of the database in `REDIS_URL`.
    var database = 0
    /// The IDs of `SESSION_KEYS`; `nil` without any.
    var keyIDs: [String]?
    /// Whether plain sessions are read.
    var acceptsPlain = true

    typealias Item = RedisHealth.Item

    var items: [Item] {
        [
            reachable, latency, version, role, writes, eviction, evicted, memory, capacity, persistence, saving,
            lifetimes, forms, keyspace, replicas, replication, clients, slowLog, clock, tracking, cluster,
        ].compactMap { $0 }
    }

    var info: RedisInfo? { try? facts.info.get() }

    func unknown(_ name: String, _ error: RedisFactError) -> Item { Item(name, .unknown, error.detail) }

    /// A point that INFO alone tells.
    func fromInfo(_ name: String, _ body: (RedisInfo) -> Item?) -> Item? {
        switch facts.info {
        case .success(let info): body(info) ?? Item(name, .unknown, "unknown: INFO does not tell")
        case .failure(let error): unknown(name, error)
        }
    }

    private var reachable: Item? {
        facts.roundTrip.map { Item("reachable", .ok, "answers in \(Self.milliseconds($0)) ms") }
    }

    private var version: Item? {
        fromInfo("version") { info in
            let valkey = info["valkey_version"]
            guard let text = valkey ?? info["redis_version"] else { return nil }
            let name = valkey != nil || info["server_name"] == "valkey" ? "Valkey" : "Redis"
            // Valkey began at 7.2.
            guard valkey == nil, let version = Self.majorMinor(text), version < (6, 2) else {
                return Item("version", .ok, "\(name) \(text)")
            }
            return Item("version", .fail, "\(name) \(text)", remedy: "6.2 or newer is needed (GETDEL)")
        }
    }

    private var role: Item? {
        fromInfo("role") { info in
            guard let role = info["role"] else { return nil }
            if info["loading"] == "1" {
                return Item("role", .fail, "still loading its data", remedy: "wait until it has read its files")
            }
            guard role != "master" else { return Item("role", .ok, "primary") }
            return Item(
                "role", .fail, "a read-only replica",
                remedy: "let REDIS_URL name the primary, or the sentinels (redis+sentinel://…)")
        }
    }

    private var writes: Item? {
        guard case .failure(let error) = facts.writes else {
            return Item("writes", .ok, "a write, a script and a taking read are permitted")
        }
        let detail: String
        switch error.refusal {
        case .notPermitted: detail = "the user may not use all commands that sessions need"
        case .failed(let reason): detail = reason
        case .notTried: return Item("writes", .unknown, "not tried: --read-only")
        }
        return Item("writes", .fail, detail, remedy: RedisRemedies.remedy(for: error.kind))
    }

    /// The eviction policy.
    var policy: Result<String, RedisFactError> {
        info?["maxmemory_policy"].map { .success($0) } ?? facts.policy
    }

    private var eviction: Item? {
        let policy: String
        switch self.policy {
        case .success(let told): policy = told
        case .failure(let error): return unknown("eviction", error)
        }
        let remedy = "set maxmemory-policy noeviction: CONFIG SET maxmemory-policy noeviction, and in redis.conf"
        if policy == "noeviction" { return Item("eviction", .ok, "maxmemory-policy noeviction") }
        if policy.hasPrefix("allkeys-") {
            return Item(
                "eviction", .fail,
                "maxmemory-policy \(policy) throws live sessions away when memory is full: "
                    + "users are logged out at random", remedy: remedy)
        }
        return Item(
            "eviction", .warn, "maxmemory-policy \(policy) throws sessions away when memory is full, as all have a TTL",
            remedy: remedy)
    }

    private var memory: Item? {
        fromInfo("memory") { info in
            guard let used = info.number("used_memory") else { return nil }
            let limit = info.number("maxmemory") ?? 0
            guard limit > 0 else { return Item("memory", .ok, "\(Self.megabytes(used)) used, no limit is set") }
            let share = Int(Double(used) / Double(limit) * 100)
            let text = "\(Self.megabytes(used)) of \(Self.megabytes(limit)) used (\(share)%)"
            guard share >= 90 else { return Item("memory", .ok, text) }
            return Item("memory", .warn, text, remedy: "raise maxmemory: full, Redis takes no new session")
        }
    }

    private var persistence: Item? {
        if info?["aof_enabled"] == "1" { return Item("persistence", .ok, "appendonly yes") }
        switch (facts.appendOnly, facts.save) {
        case (.success("yes"), _): return Item("persistence", .ok, "appendonly yes")
        case (_, .success(let save)) where !save.isEmpty:
            return Item("persistence", .ok, "snapshots only (save \(save)): a restart loses what came after the last")
        case (_, .success):
            return Item(
                "persistence", .warn, "off: a restart of Redis logs everyone out",
                remedy: "set appendonly yes: CONFIG SET appendonly yes, and in redis.conf")
        case (_, .failure(let error)): return unknown("persistence", error)
        }
    }

    private var replicas: Item? {
        fromInfo("replicas") { info in
            guard let online = info.onlineReplicas else { return nil }
            let text = "\(online) connected, REDIS_WAIT_REPLICAS is \(waitReplicas)"
            guard online < waitReplicas else { return Item("replicas", .ok, text) }
            return Item(
                "replicas", .fail, text,
                remedy: "every login, refresh and logout fails until enough replicas are connected")
        }
    }

    private var tracking: Item? {
        guard usesNearCache else { return nil }
        guard case .failure(let error) = facts.tracking else {
            return Item("tracking", .ok, "CLIENT TRACKING is permitted, which the near cache needs")
        }
        let detail: String
        switch error.refusal {
        case .notPermitted: detail = "CLIENT TRACKING is not permitted, so the near cache holds nothing"
        case .failed(let reason): detail = "CLIENT TRACKING failed, so the near cache holds nothing: \(reason)"
        case .notTried: return nil
        }
        return Item(
            "tracking", .warn, detail, remedy: "permit +client|tracking, or set SESSION_NEAR_CACHE=off")
    }

    private var cluster: Item? {
        let isCluster = info?["cluster_enabled"] == "1"
        guard let answer = facts.cluster else {
            guard isCluster else { return nil }
            return Item(
                "cluster", .fail, "the server is a node of a cluster, and REDIS_URL does not say so",
                remedy: "write REDIS_URL as redis+cluster://HOST,HOST")
        }
        switch answer {
        case .failure(let error): return unknown("cluster", error)
        case .success(let state):
            let text =
                "state \(state["cluster_state"] ?? "unknown"), "
                + "\(state["cluster_slots_assigned"] ?? "?") of 16384 slots assigned, "
                + "\(state["cluster_size"] ?? "?") primaries"
            guard state["cluster_state"] == "ok" else {
                return Item("cluster", .fail, text, remedy: "see CLUSTER NODES and redis-cli --cluster check")
            }
            return Item("cluster", .ok, text)
        }
    }

    private static func majorMinor(_ version: String) -> (Int, Int)? {
        let parts = version.split(separator: ".").prefix(2).compactMap { Int($0) }
        return parts.count == 2 ? (parts[0], parts[1]) : nil
    }

    static func megabytes(_ bytes: Int) -> String {
        let tenths = bytes / ((1 << 20) / 10)
        return "\(tenths / 10).\(tenths % 10) MB"
    }

    static func milliseconds(_ duration: Duration) -> String {
        let microseconds = duration.components.seconds * 1_000_000 + duration.components.attoseconds / 1_000_000_000_000
        return "\(microseconds / 1000).\(microseconds % 1000 / 100)"
    }
}
