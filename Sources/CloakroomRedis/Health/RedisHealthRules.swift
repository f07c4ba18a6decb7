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

    typealias Item = RedisHealth.Item

    var items: [Item] {
        [
            reachable, version, role, writes, eviction, memory, persistence, lifetimes, replicas, tracking, cluster,
        ].compactMap { $0 }
    }

    private var info: RedisInfo? { try? facts.info.get() }

    private func unknown(_ name: String, _ error: RedisFactError) -> Item { Item(name, .unknown, error.detail) }

    /// A point that INFO alone tells.
    private func fromInfo(_ name: String, _ body: (RedisInfo) -> Item?) -> Item? {
        switch facts.info {
        case .success(let info): body(info) ?? Item(name, .unknown, "unknown: INFO does not tell")
        case .failure(let error): unknown(name, error)
        }
    }

    private var reachable: Item? {
        facts.roundTrip.map { roundTrip in
            let text = "answers in \(Self.milliseconds(roundTrip)) ms"
            guard roundTrip > .milliseconds(20) else { return Item("reachable", .ok, text) }
            return Item(
                "reachable", .warn, text,
                remedy: "every session that is not in the near cache waits this long: put the gateway near Redis")
        }
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
        }
        return Item("writes", .fail, detail, remedy: Self.remedy(for: error.kind))
    }

    private var eviction: Item? {
        let policy: String
        if let told = info?["maxmemory_policy"] {
            policy = told
        } else {
            switch facts.policy {
            case .success(let told): policy = told
            case .failure(let error): return unknown("eviction", error)
            }
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

    private var lifetimes: Item? {
        switch facts.lifetimes {
        case .failure(let error): return unknown("lifetimes", error)
        case .success(let found):
            let scope = found.isComplete ? "all \(found.seen) session keys" : "\(found.seen) session keys, a sample,"
            guard found.endless > 0 else { return Item("lifetimes", .ok, "\(scope) have a TTL") }
            return Item(
                "lifetimes", .warn, "\(found.endless) of \(found.seen) session keys have no TTL",
                remedy: "they are never freed: find the program that writes them without EX or PX")
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

    /// What helps when Redis refuses.
    static func remedy(for kind: RedisServerError.Kind?) -> String {
        switch kind {
        case .authenticationRequired: "give a password: REDIS_URL=redis://:PASSWORD@HOST"
        case .wrongCredentials: "correct user and password in REDIS_URL; percent-encode signs such as / @ # %"
        case .notPermitted: "permit the user the keys of sessions and +@read +@write +@scripting +@connection"
        case .loading: "wait until it has read its files"
        case .readOnly: "let REDIS_URL name the primary, or the sentinels (redis+sentinel://…)"
        case .outOfMemory: "raise maxmemory; nobody can log in until there is room"
        case .misconfigured: "look at Redis' disk and log: it can't save"
        case .notEnoughReplicas: "bring replicas back, or lower min-replicas-to-write"
        case .tooManyClients: "raise maxclients, or lower REDIS_MAX_CONNECTIONS"
        case .connectionDenied: "set a password in Redis, or bind it to this network (protected-mode)"
        case .moved, .ask, .clusterDown, .tryAgain: "write REDIS_URL as redis+cluster://HOST,HOST; see CLUSTER INFO"
        case .unknownCommand: "6.2 or newer is needed"
        default: "is Redis running, and is REDIS_URL right? See REDIS_URL and the log of Redis"
        }
    }

    private static func majorMinor(_ version: String) -> (Int, Int)? {
        let parts = version.split(separator: ".").prefix(2).compactMap { Int($0) }
        return parts.count == 2 ? (parts[0], parts[1]) : nil
    }

    private static func megabytes(_ bytes: Int) -> String {
        let tenths = bytes / ((1 << 20) / 10)
        return "\(tenths / 10).\(tenths % 10) MB"
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let microseconds = duration.components.seconds * 1_000_000 + duration.components.attoseconds / 1_000_000_000_000
        return "\(microseconds / 1000).\(microseconds % 1000 / 100)"
    }
}
