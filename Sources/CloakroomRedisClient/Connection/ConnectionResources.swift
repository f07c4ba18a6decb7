import Logging
import NIOCore
import Synchronization

/// What all connections of one client share, to whatever servers: made once, when the client is made.
final class ConnectionResources: Sendable {
    /// Puts together what the trust in copies of what was read rests on; `nil` if no one wants to keep copies.
    let tracking: TrackingMonitor?
    let eventLoopGroup: any EventLoopGroup
    /// `nil` without TLS; a failure of the files is the failure of each attempt to connect.
    private let tls: Mutex<Result<TLSSettings, RedisClientError>?>
    private let tlsOptions: RedisTLSConfiguration

    init(configuration: RedisClientConfiguration, logger: Logger) {
        tracking = configuration.invalidationObserver.map { observer in
            TrackingMonitor(observer: observer, trust: configuration.trackingTrust, logger: logger)
        }
        eventLoopGroup = configuration.eventLoopGroup
        tlsOptions = configuration.tls
        tls = Mutex(
            configuration.url.isTLS
                ? Result { () throws(RedisClientError) in try TLSSettings(configuration.tls) } : nil)
    }

    /// Reads the files again, for new connections.
    ///
    /// - Throws: an error that names the file and says what is wrong with it; what was read before stays in use.
    func renewTLS() throws(RedisClientError) {
        guard tls.withLock({ $0 != nil }) else { return }
        let renewed = try TLSSettings(tlsOptions)
        tls.withLock { $0 = .success(renewed) }
    }

    /// What a connection to this server needs for TLS; `nil` for none.
    ///
    /// - Throws: ``RedisClientError`` that says what is wrong with the settings.
    func tlsPeer(for endpoint: RedisEndpoint) throws(RedisClientError) -> TLSPeer? {
        try tls.withLock { $0 }?.get().peer(for: endpoint)
    }
}
