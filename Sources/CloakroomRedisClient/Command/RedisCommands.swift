/// The commands that Cloakroom sends.
extension RedisCommand {
    /// `GET key`
    public static func get(_ key: String) -> RedisCommand {
        RedisCommand("GET", [.text(key)], isIdempotent: true)
    }

    /// `SET key value PX milliseconds`: a key never lacks its TTL.
    public static func set(_ key: String, _ value: Argument, milliseconds: Int) -> RedisCommand {
        RedisCommand("SET", [.text(key), value, .text("PX"), .integer(milliseconds)], isIdempotent: true)
    }

    /// `GETDEL key` (Redis 6.2). A second one would find nothing, so it is not idempotent.
    public static func getAndDelete(_ key: String) -> RedisCommand {
        RedisCommand("GETDEL", [.text(key)], isIdempotent: false)
    }

    /// `UNLINK key`: gone at once, its memory freed in the background.
    public static func unlink(_ key: String) -> RedisCommand {
        RedisCommand("UNLINK", [.text(key)], isIdempotent: true)
    }

    /// `PTTL key`
    public static func remainingMilliseconds(_ key: String) -> RedisCommand {
        RedisCommand("PTTL", [.text(key)], isIdempotent: true)
    }

    /// `PEXPIRE key milliseconds`: does nothing to a key that is not there.
    public static func expire(_ key: String, milliseconds: Int) -> RedisCommand {
        RedisCommand("PEXPIRE", [.text(key), .integer(milliseconds)], isIdempotent: true)
    }

    /// `PING`
    public static var ping: RedisCommand { RedisCommand("PING", isIdempotent: true) }

    /// `EVALSHA digest 1 key arguments`
    public static func evaluate(
        digest: String, key: String, _ arguments: [Argument], isIdempotent: Bool
    ) -> RedisCommand {
        RedisCommand("EVALSHA", [.text(digest), .integer(1), .text(key)] + arguments, isIdempotent: isIdempotent)
    }

    /// `EVAL source 1 key arguments`
    public static func evaluate(
        source: String, key: String, _ arguments: [Argument], isIdempotent: Bool
    ) -> RedisCommand {
        RedisCommand("EVAL", [.text(source), .integer(1), .text(key)] + arguments, isIdempotent: isIdempotent)
    }

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

    /// `CLIENT TRACKING ON` (Redis 6.0): the server shall report changes of the keys that this connection reads.
    static var trackingOn: RedisCommand {
        RedisCommand("CLIENT", [.text("TRACKING"), .text("ON")], isIdempotent: true)
    }

    /// A `PING` that is about the connection, so that it is of no use on another.
    static var heartbeat: RedisCommand { RedisCommand("PING", isIdempotent: false) }

    /// `CLIENT SETINFO attribute value` (Redis 7.2; an older one answers with an error that is ignored)
    static func setInfo(_ attribute: String, _ value: String) -> RedisCommand {
        RedisCommand("CLIENT", [.text("SETINFO"), .text(attribute), .text(value)], isIdempotent: true)
    }
}
