import CloakroomRedisClient

/// How much the server has to do, and how much more it can take.
extension RedisHealthRules {
    var latency: Item? {
        guard let median = facts.roundTrip, let worst = facts.roundTrips.max() else { return nil }
        let text =
            "median \(Self.milliseconds(median)) ms, worst \(Self.milliseconds(worst)) ms of "
            + "\(facts.roundTrips.count) round trips"
        if median > .milliseconds(20) {
            return Item(
                "latency", .warn, text,
                remedy: "every session that is not in the near cache waits this long: put the gateway near Redis")
        }
        guard worst > .milliseconds(100) else { return Item("latency", .ok, text) }
        return Item(
            "latency", .warn, text,
            remedy: "look for what holds Redis up: SLOWLOG GET, LATENCY DOCTOR, swapping, a machine that is too busy")
    }

    var evicted: Item? {
        fromInfo("evicted") { info in
            guard let count = info.number("evicted_keys") else { return nil }
            guard count > 0 else { return Item("evicted", .ok, "no key since the server started") }
            let text = "\(count) keys since the server started: their users were logged out"
            let isOver = (try? policy.get()) == "noeviction"
            return Item(
                "evicted", isOver ? .warn : .fail, text,
                remedy: isOver
                    ? "the policy is noeviction now; CONFIG RESETSTAT sets the count to 0"
                    : "set maxmemory-policy noeviction, and raise maxmemory")
        }
    }

    /// The memory that is left, in sessions.
    var capacity: Item? {
        let sample: KeySample
        switch facts.keys {
        case .failure(let error): return unknown("capacity", error)
        case .success(let found): sample = found
        }
        guard sample.measured > 0 else {
            let reason = sample.sessions == 0 ? "there is no session to measure" : "MEMORY USAGE is not permitted"
            return Item("capacity", sample.sessions == 0 ? .ok : .unknown, reason)
        }
        let size = sample.measuredBytes / sample.measured
        let measure = "\(size) bytes each, the mean of \(sample.measured), without their index"
        guard let used = info?.number("used_memory"), let limit = info?.number("maxmemory"), limit > 0 else {
            return Item("capacity", .ok, "sessions take \(measure); no limit is set")
        }
        let left = max(0, limit - used) / max(1, size)
        let text = "room for about \(left) more sessions (\(measure))"
        // What `memory` warns of by share is here where a server is small.
        guard left < 100 else { return Item("capacity", .ok, text) }
        return Item("capacity", .warn, text, remedy: "raise maxmemory: full, Redis takes no new session")
    }

    var saving: Item? {
        fromInfo("saving") { info in
            let points = [
                ("rdb_last_bgsave_status", "the last snapshot"), ("aof_last_write_status", "the last write to the AOF"),
                ("aof_last_bgrewrite_status", "the last rewrite of the AOF"),
            ]
            guard points.contains(where: { info[$0.0] != nil }) else { return nil }
            let failed = points.filter { info[$0.0].map { $0 != "ok" } ?? false }.map(\.1)
            guard !failed.isEmpty else { return Item("saving", .ok, "nothing failed") }
            return Item(
                "saving", .fail, "\(failed.joined(separator: " and ")) failed: a restart loses sessions",
                remedy:
                    "look at the disk of Redis (space, rights of its directory) and at its log; see INFO persistence")
        }
    }

    var replication: Item? {
        fromInfo("replication") { info in
            guard info["role"] == "master", let offset = info.number("master_repl_offset") else { return nil }
            let replicas = info.replicas
            guard !replicas.isEmpty else { return Item("replication", .ok, "no replica is connected") }
            let behind = replicas.compactMap(\.offset).map { max(0, offset - $0) }.max() ?? 0
            let lag = replicas.compactMap(\.lag).max() ?? 0
            let absent = replicas.count { !$0.isOnline }
            let text =
                "\(replicas.count) replica\(replicas.count == 1 ? "" : "s"), at most \(behind) bytes behind, last heard of \(lag) s ago"
                + (absent > 0 ? ", \(absent) not in step yet" : "")
            guard lag > 10 || behind > 10 << 20 || absent > 0 else { return Item("replication", .ok, text) }
            return Item(
                "replication", .warn, text,
                remedy:
                    "what a replica lacks is lost when it is promoted: look at its log and its link; see INFO replication"
            )
        }
    }

    var clients: Item? {
        fromInfo("clients") { info in
            guard let count = info.number("connected_clients") else { return nil }
            let limit = info.number("maxclients")
            let refused = info.number("rejected_connections") ?? 0
            let text =
                "\(count) connected" + (limit.map { " of at most \($0)" } ?? "")
                + (refused > 0 ? ", \(refused) refused since the server started" : "")
            let isNear = limit.map { count * 100 >= $0 * 80 } ?? false
            guard isNear || refused > 0 else { return Item("clients", .ok, text) }
            return Item(
                "clients", .warn, text,
                remedy: "raise maxclients, or lower REDIS_MAX_CONNECTIONS; who is connected: CLIENT LIST")
        }
    }

    var slowLog: Item? {
        switch facts.slowLog {
        case .failure(let error): return unknown("slowlog", error)
        case .success(let log):
            guard log.count > 0 else { return Item("slowlog", .ok, "no slow command in the last hour") }
            let text =
                "\(log.count) slow commands in the last hour, the slowest \(log.command) with "
                + "\(Self.milliseconds(log.worst)) ms"
            guard log.worst >= .milliseconds(100) else { return Item("slowlog", .ok, text) }
            return Item(
                "slowlog", .warn, text,
                remedy: "all wait while one runs: find who sends it (SLOWLOG GET) and let it use SCAN instead of KEYS")
        }
    }

    var clock: Item? {
        switch facts.clock {
        case .failure(let error): return unknown("clock", error)
        case .success(let skew):
            let seconds = skew.inSeconds
            guard abs(seconds) > 5 else { return Item("clock", .ok, "within \(Self.seconds(abs(seconds))) of ours") }
            return Item(
                "clock", .warn,
                "Redis' clock is \(Self.seconds(abs(seconds))) \(seconds > 0 ? "ahead of" : "behind") the one here",
                remedy: "let NTP set the clocks of both machines: sessions end by the clock of each replica")
        }
    }

    static func seconds(_ seconds: Double) -> String {
        let tenths = Int(min(max(0, seconds), 1e9) * 10 + 0.5)
        return "\(tenths / 10).\(tenths % 10) s"
    }
}
