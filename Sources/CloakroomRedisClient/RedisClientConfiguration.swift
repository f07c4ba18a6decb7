public import NIOCore
import NIOPosix

/// Where Redis is and how to treat it.
public struct RedisClientConfiguration: Sendable {
    /// Where the servers are.
    public var url: RedisURL
    /// How TLS is done, if the URL asks for it.
    public var tls = RedisTLSConfiguration()
    /// The user that the sentinels know us by, which need not be that of the servers; `nil` for their default user.
    public var sentinelUser: String?
    /// The password for the sentinels; `nil` for none.
    public var sentinelPassword: String?
    /// How many connections to each server share the load; at least one. With two, the server works on the commands of one while the
    /// client works on the replies of the other.
    public var connections = 2
    /// How long a command waits for its reply, from the call on, a wait for a connection included.
    public var commandTimeout: Duration = .seconds(2)
    /// How long an attempt to connect may take, handshake included.
    public var connectTimeout: Duration = .seconds(2)
    /// How many requests may wait, written or not. One more is refused.
    public var maximumWaitingRequests = 65_536
    /// What to accept from the server.
    public var limits = RESPLimits()
    /// The connection's name in `CLIENT LIST`.
    public var clientName = "cloakroom"

    /// Who is told of changes of the keys that are read; `nil`, the default, for no tracking.
    public var invalidationObserver: (any InvalidationObserver)?
    /// What the keys begin with that it is told of, whether they were read or not (`BCAST`); `nil`, the default, for keys that were
    /// read.
    public var trackedPrefix: String?
    /// For how long after a proof that all changes were reported what was read may be believed.
    public var trackingTrust: Duration = .seconds(1)

    /// The event loops that connections are made on; those that the process shares by default. Their owner keeps them
    /// running for as long as the client does.
    public var eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton

    /// Makes a configuration with the defaults.
    public init(url: RedisURL) { self.url = url }

    /// Checks all that can be known without a server, such as the files for TLS.
    ///
    /// - Throws: ``RedisClientError``; for a file it names the file and says what is wrong with it.
    public func validate() throws {
        if url.isTLS { try tls.validate() }
    }
}
