/// The commands that Cloakroom sends.
///
/// In a cluster a command of several keys is carried out only if all of them are in one slot; see
/// ``RedisClient/sameSlot(_:)``.
extension RedisCommand {
    // MARK: Strings

    /// `GET key`
    public static func get(_ key: String) -> RedisCommand {
        RedisCommand("GET", [.text(key)], key: 0, isIdempotent: true)
    }

    /// `MGET key …`
    public static func get(_ keys: [String]) -> RedisCommand {
        RedisCommand("MGET", keys.map { .text($0) }, key: 0, isIdempotent: true)
    }

    /// `SET key value PX milliseconds`: a key never lacks its TTL.
    public static func set(_ key: String, _ value: Argument, milliseconds: Int) -> RedisCommand {
        RedisCommand("SET", [.text(key), value, .text("PX"), .integer(milliseconds)], key: 0, isIdempotent: true)
    }

    /// `SET key value PX milliseconds NX`: only if there is no such key. A second one would find that of the first, so it is
    /// not idempotent.
    public static func setIfAbsent(_ key: String, _ value: Argument, milliseconds: Int) -> RedisCommand {
        RedisCommand(
            "SET", [.text(key), value, .text("PX"), .integer(milliseconds), .text("NX")], key: 0, isIdempotent: false)
    }

    /// `SET key value PX milliseconds GET` (Redis 6.2): answers what was there before.
    ///
    /// - Parameter isIdempotent: whether the caller can live with the answer of a second one, which is its own value.
    public static func replaceAndGet(
        _ key: String, _ value: Argument, milliseconds: Int, isIdempotent: Bool
    ) -> RedisCommand {
        RedisCommand(
            "SET", [.text(key), value, .text("PX"), .integer(milliseconds), .text("GET")], key: 0,
            isIdempotent: isIdempotent)
    }

    /// `GETDEL key` (Redis 6.2)
    ///
    /// - Parameter isIdempotent: whether the caller can live with the answer of a second one, which finds nothing.
    public static func getAndDelete(_ key: String, isIdempotent: Bool = false) -> RedisCommand {
        RedisCommand("GETDEL", [.text(key)], key: 0, isIdempotent: isIdempotent)
    }

    /// `STRLEN key`
    public static func length(_ key: String) -> RedisCommand {
        RedisCommand("STRLEN", [.text(key)], key: 0, isIdempotent: true)
    }

    // MARK: Keys

    /// `UNLINK key`
    public static func unlink(_ key: String) -> RedisCommand {
        RedisCommand("UNLINK", [.text(key)], key: 0, isIdempotent: true)
    }

    /// `UNLINK key …`: gone at once, their memory freed in the background.
    public static func unlink(_ keys: [String]) -> RedisCommand {
        RedisCommand("UNLINK", keys.map { .text($0) }, key: 0, isIdempotent: true)
    }

    /// `EXISTS key …`: answers how many of them there are.
    public static func exists(_ keys: [String]) -> RedisCommand {
        RedisCommand("EXISTS", keys.map { .text($0) }, key: 0, isIdempotent: true)
    }

    /// `PTTL key`
    public static func remainingMilliseconds(_ key: String) -> RedisCommand {
        RedisCommand("PTTL", [.text(key)], key: 0, isIdempotent: true)
    }

    /// `PEXPIRE key milliseconds`: does nothing to a key that is not there.
    public static func expire(_ key: String, milliseconds: Int) -> RedisCommand {
        RedisCommand("PEXPIRE", [.text(key), .integer(milliseconds)], key: 0, isIdempotent: true)
    }

    /// `SCAN cursor MATCH pattern COUNT count`, of one server's keys; to be sent to each primary.
    ///
    /// - Parameters:
    ///   - cursor: `0` to begin with, then what the last reply says.
    ///   - count: how many keys to look at, about.
    public static func scan(cursor: String, pattern: String, count: Int) -> RedisCommand {
        RedisCommand(
            "SCAN", [.text(cursor), .text("MATCH"), .text(pattern), .text("COUNT"), .integer(max(1, count))],
            isIdempotent: true)
    }

    // MARK: Sorted sets

    /// `ZADD key score member …`
    public static func addToSortedSet(_ key: String, _ members: [(score: Int, member: String)]) -> RedisCommand {
        RedisCommand(
            "ZADD", [.text(key)] + members.flatMap { [.integer($0.score), .text($0.member)] }, key: 0,
            isIdempotent: true)
    }

    /// `ZREM key member …`
    public static func removeFromSortedSet(_ key: String, _ members: [String]) -> RedisCommand {
        RedisCommand("ZREM", [.text(key)] + members.map { .text($0) }, key: 0, isIdempotent: true)
    }

    /// `ZREMRANGEBYSCORE key -inf maximum`
    public static func removeFromSortedSet(_ key: String, maximum: Int) -> RedisCommand {
        RedisCommand(
            "ZREMRANGEBYSCORE", [.text(key), .text("-inf"), .integer(maximum)], key: 0, isIdempotent: true)
    }

    /// `ZRANGE key minimum +inf BYSCORE LIMIT 0 limit`, or from the highest down with `REV` (Redis 6.2)
    public static func rangeByScore(
        _ key: String, minimum: Int, limit: Int, isReversed: Bool = false
    ) -> RedisCommand {
        let bounds: [Argument] = isReversed ? [.text("+inf"), .integer(minimum)] : [.integer(minimum), .text("+inf")]
        return RedisCommand(
            "ZRANGE",
            [.text(key)] + bounds + [.text("BYSCORE")] + (isReversed ? [.text("REV")] : [])
                + [.text("LIMIT"), .integer(0), .integer(limit)],
            key: 0, isIdempotent: true)
    }

    /// `ZCARD key`: answers how many members there are.
    public static func countOfSortedSet(_ key: String) -> RedisCommand {
        RedisCommand("ZCARD", [.text(key)], key: 0, isIdempotent: true)
    }

    /// `ZCOUNT key minimum +inf`: answers how many members have this score or a higher one.
    public static func countOfSortedSet(_ key: String, minimum: Int) -> RedisCommand {
        RedisCommand("ZCOUNT", [.text(key), .integer(minimum), .text("+inf")], key: 0, isIdempotent: true)
    }

    // MARK: Scripts

    /// `EVALSHA digest 1 key arguments`
    public static func evaluate(
        digest: String, key: String, _ arguments: [Argument], isIdempotent: Bool
    ) -> RedisCommand {
        evaluate(digest: digest, keys: [key], arguments, isIdempotent: isIdempotent)
    }

    /// `EVAL source 1 key arguments`
    public static func evaluate(
        source: String, key: String, _ arguments: [Argument], isIdempotent: Bool
    ) -> RedisCommand {
        evaluate(source: source, keys: [key], arguments, isIdempotent: isIdempotent)
    }

    /// `EVALSHA digest count key … arguments`
    public static func evaluate(
        digest: String, keys: [String], _ arguments: [Argument], isIdempotent: Bool
    ) -> RedisCommand {
        evaluation("EVALSHA", digest, keys, arguments, isIdempotent)
    }

    /// `EVAL source count key … arguments`
    public static func evaluate(
        source: String, keys: [String], _ arguments: [Argument], isIdempotent: Bool
    ) -> RedisCommand {
        evaluation("EVAL", source, keys, arguments, isIdempotent)
    }

    private static func evaluation(
        _ name: StaticString, _ script: String, _ keys: [String], _ arguments: [Argument], _ isIdempotent: Bool
    ) -> RedisCommand {
        RedisCommand(
            name, [.text(script), .integer(keys.count)] + keys.map { .text($0) } + arguments,
            key: keys.isEmpty ? nil : 2, isIdempotent: isIdempotent)
    }

    /// `SCRIPT LOAD source`: one server's; in a cluster to be sent to each primary.
    public static func load(script source: String) -> RedisCommand {
        RedisCommand("SCRIPT", [.text("LOAD"), .text(source)], isIdempotent: true)
    }

    // MARK: Servers

    /// `PING`
    public static var ping: RedisCommand { RedisCommand("PING", isIdempotent: true) }

    /// `WAIT replicas milliseconds`: answers how many replicas have all that was written on this connection before.
    ///
    /// On another connection than the writes it would vouch for nothing, so it is not idempotent alone, and its place is
    /// behind them in ``RedisClient/send(contiguous:)``, with which it is sent again.
    ///
    /// - Parameter milliseconds: at least one, as 0 would block the connection for ever.
    public static func wait(replicas: Int, milliseconds: Int) -> RedisCommand {
        RedisCommand("WAIT", [.integer(max(0, replicas)), .integer(max(1, milliseconds))], isIdempotent: false)
    }

    /// `INFO section`
    public static func info(_ section: String) -> RedisCommand {
        RedisCommand("INFO", [.text(section)], isIdempotent: true)
    }

    /// `CONFIG GET parameter`. Managed services may not allow it.
    public static func configuration(_ parameter: String) -> RedisCommand {
        RedisCommand("CONFIG", [.text("GET"), .text(parameter)], isIdempotent: true)
    }

    /// `DBSIZE`: answers how many keys the server has.
    public static var keyCount: RedisCommand { RedisCommand("DBSIZE", isIdempotent: true) }

    /// `TIME`: the server's, in seconds since 1970 and microseconds.
    public static var time: RedisCommand { RedisCommand("TIME", isIdempotent: true) }

    // MARK: Handshake

    /// `HELLO 3 [AUTH user password] SETNAME name` (Redis 6.0)
    static func hello(user: String?, password: String?, clientName: String) -> RedisCommand {
        var arguments: [Argument] = [.integer(3)]
        // A user without a password (`nopass`) must be named all the same, or Redis takes us for its default user.
        if user != nil || password != nil {
            arguments += [.text("AUTH"), .text(user ?? "default"), .text(password ?? "")]
        }
        arguments += [.text("SETNAME"), .text(clientName)]
        return RedisCommand("HELLO", arguments, isIdempotent: true)
    }

    /// `SELECT database`
    static func select(_ database: Int) -> RedisCommand {
        RedisCommand("SELECT", [.integer(database)], isIdempotent: true)
    }

    /// `CLIENT TRACKING ON` (Redis 6.0): the server shall report changes of the keys that this connection reads, or with a
    /// prefix, of all keys that begin so.
    static func trackingOn(prefix: String?) -> RedisCommand {
        RedisCommand(
            "CLIENT",
            [.text("TRACKING"), .text("ON")] + (prefix.map { [.text("BCAST"), .text("PREFIX"), .text($0)] } ?? []),
            isIdempotent: true)
    }

    /// A `PING` that is about the connection, so that it is of no use on another.
    static var heartbeat: RedisCommand { RedisCommand("PING", isIdempotent: false) }

    /// `CLIENT SETINFO attribute value` (Redis 7.2; an older one answers with an error that is ignored)
    static func setInfo(_ attribute: String, _ value: String) -> RedisCommand {
        RedisCommand("CLIENT", [.text("SETINFO"), .text(attribute), .text(value)], isIdempotent: true)
    }
}

extension [RedisCommand] {
    /// Whether the group leaves the same state, and its replies mean the same, when it is sent twice as a whole: also with a
    /// `WAIT` behind its writes.
    var isIdempotentAsGroup: Bool {
        count > 1 ? allSatisfy { $0.isIdempotent || $0.description == "WAIT" } : allSatisfy(\.isIdempotent)
    }
}
