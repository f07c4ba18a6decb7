/// The commands by which servers are found.
extension RedisCommand {
    /// `ROLE`: what the server is, `master` first if it is a primary.
    public static var role: RedisCommand { RedisCommand("ROLE", isIdempotent: true) }

    /// `CLUSTER SHARDS` (Redis 7.0)
    static var clusterShards: RedisCommand { RedisCommand("CLUSTER", [.text("SHARDS")], isIdempotent: true) }

    /// `CLUSTER SLOTS`
    static var clusterSlots: RedisCommand { RedisCommand("CLUSTER", [.text("SLOTS")], isIdempotent: true) }

    /// `ASKING`: the next command is carried out though its slot is still on its way here.
    static var asking: RedisCommand { RedisCommand("ASKING", isIdempotent: true) }

    /// `SENTINEL GET-MASTER-ADDR-BY-NAME name`
    static func primaryAddress(_ name: String) -> RedisCommand {
        RedisCommand("SENTINEL", [.text("GET-MASTER-ADDR-BY-NAME"), .text(name)], isIdempotent: true)
    }

    /// `SENTINEL MASTER name`: what the sentinel knows of this primary.
    static func monitoredPrimary(_ name: String) -> RedisCommand {
        RedisCommand("SENTINEL", [.text("MASTER"), .text(name)], isIdempotent: true)
    }

    /// `SENTINEL SENTINELS name`: the other sentinels of this primary.
    static func otherSentinels(_ name: String) -> RedisCommand {
        RedisCommand("SENTINEL", [.text("SENTINELS"), .text(name)], isIdempotent: true)
    }

    /// `SUBSCRIBE channel…`. It is answered by a push for each.
    static func subscribe(_ channels: [String]) -> RedisCommand {
        RedisCommand("SUBSCRIBE", channels.map { .text($0) }, isIdempotent: true)
    }
}
