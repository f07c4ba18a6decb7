import Cloakroom
import CloakroomRedisClient

/// Where a Redis server is: `redis://[user[:password]@]host[:port][/db]`. Its `description` hides the password.
public struct RedisURL: Sendable, Equatable, CustomStringConvertible {
    let address: CloakroomRedisClient.RedisURL

    /// Reads a URL; user and password are percent-decoded.
    ///
    /// - Throws: ``RedisURLError``, which shows where the text stops being right, never the password.
    public init(_ text: String) throws(RedisURLError) {
        do throws(CloakroomRedisClient.RedisURLError) {
            self.address = try CloakroomRedisClient.RedisURL(text)
        } catch {
            throw RedisURLError(description: error.description)
        }
    }

    /// The URL for logs, its password replaced by `***`.
    public var description: String { address.description }
}

/// Why a text is no Redis URL. It quotes nothing of the text.
public struct RedisURLError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, where, and what would be right.
    public let description: String
}

/// How to reach Redis and what to call the keys there.
public struct RedisStoreConfiguration: Sendable {
    /// `redis://[user[:password]@]host[:port][/db]`
    public var url: RedisURL
    /// What stands before the session ID in a key; `session:` by default.
    public var keyPrefix: String
    /// How long a call to Redis may take, a wait for a connection included; 2 seconds by default.
    public var commandTimeout: Duration

    /// Makes a configuration.
    public init(url: RedisURL, keyPrefix: String = "session:", commandTimeout: Duration = .seconds(2)) {
        self.url = url
        self.keyPrefix = keyPrefix
        self.commandTimeout = commandTimeout
    }
}

/// The names of the keys. None but those of sessions begins with the prefix, as people count sessions by it.
struct KeySchema: Sendable {
    let sessionPrefix: String

    func session(_ id: SessionID) -> String { sessionPrefix + id.secret }

    /// A login under way or another thing that may be taken once.
    func oneTimeRecord(_ key: String) -> String { Self.oneTimePrefix(sessionPrefix) + key }

    /// `session:` gives `session-once:`, and `shop:session:` gives `shop:session-once:`.
    private static func oneTimePrefix(_ prefix: String) -> String {
        prefix.hasSuffix(":") ? prefix.dropLast() + "-once:" : "once-" + prefix + ":"
    }
}
