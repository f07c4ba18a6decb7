public import Cloakroom
public import NIOCore
import NIOPosix

@_exported public import struct CloakroomRedisClient.RedisTLSConfiguration
@_exported public import struct CloakroomRedisClient.RedisURL
@_exported public import struct CloakroomRedisClient.RedisURLError

/// How to reach Redis, what to call the keys there, and how sessions are kept.
public struct RedisStoreConfiguration: Sendable {
    /// Where Redis is.
    public var url: RedisURL
    /// What stands before the session ID in a key; `session:` by default.
    public var keyPrefix: String
    /// How long a call to Redis may take, a wait for a connection included; 2 seconds by default.
    public var commandTimeout: Duration
    /// How many connections to keep to each server; 2 by default.
    public var connectionsPerNode = 2
    /// How TLS (`rediss://`) is done.
    public var tls = RedisTLSConfiguration()
    /// The credentials of sentinels, which may differ from those of the servers; none by default.
    public var sentinelUser: String?
    /// See ``sentinelUser``. Never shown.
    public var sentinelPassword: String?
    /// What to keep of the sessions in this process's memory; `nil` for nothing.
    public var nearCache: NearCacheConfiguration? = NearCacheConfiguration()
    /// What to tell of sessions that begin and end; `nil` for nothing. With a near cache it is also told when another process
    /// ends a session that this one has read lately, which costs a read of each session that changes.
    public var events: SessionEvents?
    /// What opens and, unless ``seals`` is off, seals sessions; `nil` for the plain form.
    public var keyring: SessionKeyring?
    /// Whether new records are sealed. Off: the keyring only opens, for the first half of a rolling deploy.
    public var seals = true
    /// Whether plain records are read where sealed ones are written. `false` once all sessions are sealed: who can write
    /// to Redis can then plant none.
    public var acceptsPlain = true
    /// The size in bytes from which records are compressed; `nil` for never.
    public var compressionThreshold: Int?
    /// How many replicas must have a create, refresh or delete before it counts as done; 0 for none.
    public var waitReplicas = 0
    /// How long to wait for them; more than zero.
    public var waitTimeout: Duration = .seconds(1)

    /// The event loops that connections are made on; those that the process shares by default. Their owner keeps them
    /// running for as long as the store does. A caller that runs on one of them is served by a connection on it.
    public var eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton

    /// Makes a configuration.
    public init(url: RedisURL, keyPrefix: String = "session:", commandTimeout: Duration = .seconds(2)) {
        self.url = url
        self.keyPrefix = keyPrefix
        self.commandTimeout = commandTimeout
    }
}

extension RedisStoreConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The URL without its password; no key and no other password.
    public var description: String { "RedisStoreConfiguration(url: \(url))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["url": url.description]) }
}

/// How much the near cache holds, and for how long.
public struct NearCacheConfiguration: Sendable, Equatable {
    /// How many sessions at most.
    public var maximumEntries = 100_000
    /// How many bytes at most, counted by the size of the stored records as they were read, opened and unpacked.
    public var maximumBytes = 256 << 20
    /// How long a session is kept without being read anew, whatever Redis reports.
    public var maximumAge: Duration = .seconds(300)

    /// The defaults.
    public init() {}
}
