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

    func run(
        on client: RedisClient, key: String, _ arguments: [RedisCommand.Argument], isIdempotent: Bool
    ) async throws -> RESPValue {
        do {
            return try await client.send(
                .evaluate(digest: digest, key: key, arguments, isIdempotent: isIdempotent))
        } catch let error as RedisServerError where error.kind == .scriptUnknown {
            return try await client.send(
                .evaluate(source: source, key: key, arguments, isIdempotent: isIdempotent))
        }
    }
}

extension RedisScript {
    /// Replaces a session's record if it is still what was read.
    ///
    /// `KEYS[1]` the session's key; `ARGV[1]` the record that was read; `ARGV[2]` the new one; `ARGV[3]` the milliseconds to
    /// the session's absolute end. Answers 1 when replaced, 0 when the session is gone, 2 when it has changed.
    ///
    /// The key's TTL stays. A key that lacks one, which another program must have written, gets the session's end.
    static let replace = RedisScript(
        """
        local current = redis.call('GET', KEYS[1])
        if not current then return 0 end
        if current ~= ARGV[1] then return 2 end
        if redis.call('PTTL', KEYS[1]) < 0 then
          redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        else
          redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
        end
        return 1
        """)
}
