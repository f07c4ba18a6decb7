import Cloakroom
import CloakroomRedisClient
import Crypto

/// A script that Redis runs as one step.
///
/// It is called by its digest. A server that does not know it (after a restart or a failover) gets the source once.
struct RedisScript: Sendable {
    let source: String
    private let digest: String

    init(_ source: String) {
        self.source = source
        self.digest = Hex.encode(Insecure.SHA1.hash(data: Array(source.utf8)))
    }

    /// The script as a command of a pipeline; see ``ScriptedCommand``.
    func command(_ keys: [String], _ arguments: [RedisCommand.Argument], isIdempotent: Bool = true) -> ScriptedCommand {
        ScriptedCommand(
            command: .evaluate(digest: digest, keys: keys, arguments, isIdempotent: isIdempotent),
            withSource: .evaluate(source: source, keys: keys, arguments, isIdempotent: isIdempotent))
    }
}

/// A command, and what to send instead when the server does not know its script.
struct ScriptedCommand: Sendable {
    let command: RedisCommand
    let withSource: RedisCommand?

    init(command: RedisCommand, withSource: RedisCommand?) {
        self.command = command
        self.withSource = withSource
    }

    init(_ command: RedisCommand) { self.init(command: command, withSource: nil) }
}

extension RedisScript {
    /// Replaces a session's record if it is still what was read, and enters the session into its indexes, where it may be
    /// missing.
    ///
    /// `KEYS[1]` the session's key; further `KEYS`, outside of a cluster, the indexes; `ARGV[1]` the record that was read;
    /// `ARGV[2]` the new one; `ARGV[3]` to `ARGV[6]` as in ``create``; `ARGV[7]` the milliseconds to the
    /// session's absolute end. Answers 1 when replaced, 0 when the session is gone, 2 when it has changed.
    ///
    /// The key's TTL stays. A key that lacks one, which another program must have written, gets the session's end.
    static let replace = RedisScript(
        """
        local current = redis.call('GET', KEYS[1])
        if not current then return 0 end
        if current ~= ARGV[1] then return 2 end
        if redis.call('PTTL', KEYS[1]) < 0 then
          redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[7])
        else
          redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
        end
        \(enterIntoIndexes(firstKey: 2))
        return 1
        """)

    /// Replaces a session's record by one under another key, as when a plain record becomes a sealed one.
    ///
    /// `KEYS[1]` the key that was read; `KEYS[2]` the new one; further `KEYS`, arguments and answers as in ``replace``.
    static let move = RedisScript(
        """
        local current = redis.call('GET', KEYS[1])
        if not current then return 0 end
        if current ~= ARGV[1] then return 2 end
        local left = redis.call('PTTL', KEYS[1])
        if left < 0 then left = ARGV[7] end
        redis.call('SET', KEYS[2], ARGV[2], 'PX', left)
        redis.call('UNLINK', KEYS[1])
        \(enterIntoIndexes(firstKey: 3))
        return 1
        """)

    /// Stores a new session and enters it into its indexes, as one step; servers outside of a cluster only, as it touches
    /// keys of several slots.
    ///
    /// `KEYS[1]` the session's key; `KEYS[2]`, if any, the user's index; `KEYS[3]`, if any, the provider session's.
    /// `ARGV[1]` the record; `ARGV[2]` its life in milliseconds; `ARGV[3]` its name; `ARGV[4]` its absolute end and
    /// `ARGV[5]` now, in milliseconds of the Unix time; `ARGV[6]` is `NX` if it keeps a place that it has in an index, else
    /// empty; `ARGV[7]` how many sessions the user may have, or 0; `ARGV[8]` what stands before names in keys. Answers the names of the sessions that were ended for the new one.
    static let create = RedisScript(
        """
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        \(enterIntoIndexes(firstKey: 2))
        \(trim(index: "KEYS[2]", now: "ARGV[5]", limit: "ARGV[7]", prefix: "ARGV[8]"))
        """)

    /// Enters a session into an index.
    ///
    /// `KEYS` the indexes; `ARGV[3]` to `ARGV[6]` as in ``create``. Answers an empty array.
    static let index = RedisScript(
        """
        \(enterIntoIndexes(firstKey: 1))
        return {}
        """)

    /// The index lives as long as the longest session in it. Entries of sessions that must have ended go when there are
    /// many; of a few, readers remove them.
    private static func enterIntoIndexes(firstKey: Int) -> String {
        """
        local life = math.max(1, ARGV[4] - ARGV[5])
        for i = \(firstKey), #KEYS do
          if ARGV[6] == 'NX' then
            redis.call('ZADD', KEYS[i], 'NX', ARGV[4], ARGV[3])
          else
            redis.call('ZADD', KEYS[i], ARGV[4], ARGV[3])
          end
          local count = redis.call('ZCARD', KEYS[i])
          if count == 1 or redis.call('PTTL', KEYS[i]) < life then redis.call('PEXPIRE', KEYS[i], life) end
          if count > 8 then redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. ARGV[5]) end
        end
        """
    }

    /// Ends the oldest sessions beyond the limit. Those that have ended by themselves do not count, and are forgotten.
    private static func trim(index: String, now: String, limit: String, prefix: String) -> String {
        """
        local ended = {}
        local limit = tonumber(\(limit))
        if limit > 0 and redis.call('ZCARD', \(index)) > limit then
          local live = {}
          for _, name in ipairs(redis.call('ZRANGE', \(index), 0, -1)) do
            if redis.call('EXISTS', \(prefix) .. name) == 1 then
              live[#live + 1] = name
            else
              redis.call('ZREM', \(index), name)
            end
          end
          for i = 1, #live - limit do
            redis.call('UNLINK', \(prefix) .. live[i])
            redis.call('ZREM', \(index), live[i])
            ended[#ended + 1] = live[i]
          end
        end
        return ended
        """
    }

    /// Forgets entries of an index whose sessions are gone, looking again as it does so; servers outside of a cluster only.
    ///
    /// `KEYS[1]` the index; further `KEYS` the sessions' keys; `ARGV` their names in the same order.
    static let heal = RedisScript(
        """
        local forgotten = 0
        for i = 2, #KEYS do
          if redis.call('EXISTS', KEYS[i]) == 0 then
            forgotten = forgotten + redis.call('ZREM', KEYS[1], ARGV[i - 1])
          end
        end
        return forgotten
        """)

    /// Ends a session, whatever its key holds; a tombstone that is there stays.
    ///
    /// `KEYS[1]` the session's key; `ARGV[1]` the tombstone; `ARGV[2]` how long it is to stay in the session's place, in
    /// milliseconds, or 0 for no tombstone: of two the longer counts; `ARGV[3]` is `count` to be answered 1 or 0 rather
    /// than with the record that was there, or null.
    static let end = RedisScript(
        """
        local current = redis.pcall('GET', KEYS[1])
        local life = tonumber(ARGV[2])
        if current == ARGV[1] then
          if redis.call('PTTL', KEYS[1]) < life then redis.call('PEXPIRE', KEYS[1], life) end
          current = false
        elseif life > 0 then
          redis.call('SET', KEYS[1], ARGV[1], 'PX', life)
        elseif current then
          redis.call('UNLINK', KEYS[1])
        end
        if ARGV[3] == 'count' then return current and 1 or 0 end
        if type(current) == 'table' then return '' end
        return current
        """)

    /// Ends a session if its record is still what was read. `KEYS[1]` the session's key; `ARGV[1]` the record. Answers 1
    /// when it was ended, 0 when it is gone, 2 when it has changed.
    static let endIfUnchanged = RedisScript(
        """
        local current = redis.call('GET', KEYS[1])
        if not current then return 0 end
        if current ~= ARGV[1] then return 2 end
        redis.call('UNLINK', KEYS[1])
        return 1
        """)

    /// Lets a session live on for a while, but not a tombstone.
    ///
    /// `KEYS[1]` the session's key; `ARGV[1]` the milliseconds; `ARGV[2]` the tombstone. Answers 1, or 0 when there is no
    /// session.
    static let touch = RedisScript(
        """
        if redis.call('GETRANGE', KEYS[1], 0, #ARGV[2]) == ARGV[2] then return 0 end
        return redis.call('PEXPIRE', KEYS[1], ARGV[1])
        """)

    /// Takes a lease unless another holds it. `KEYS[1]` the lease; `ARGV[1]` what proves the holder; `ARGV[2]` the
    /// milliseconds. Answers 1 when the caller has it now, else 0.
    static let acquireLease = RedisScript(
        """
        local holder = redis.call('GET', KEYS[1])
        if holder and holder ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        return 1
        """)

    /// Lets a lease of the caller's last on; arguments and answers as in ``acquireLease``.
    static let renewLease = RedisScript(
        """
        if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        return redis.call('PEXPIRE', KEYS[1], ARGV[2])
        """)

    /// Gives a lease of the caller's back. `KEYS[1]` the lease; `ARGV[1]` what proves the holder.
    static let releaseLease = RedisScript(
        """
        if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        return redis.call('DEL', KEYS[1])
        """)
}
