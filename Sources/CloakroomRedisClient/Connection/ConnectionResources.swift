import Logging

/// What all connections of one client share, to whatever servers: made once, when the client is made.
final class ConnectionResources: Sendable {
    /// Puts together what the trust in copies of what was read rests on; `nil` if no one wants to keep copies.
    let tracking: TrackingMonitor?
    /// `nil` without TLS; a failure of the files is the failure of each attempt to connect.
    private let tls: Result<TLSSettings, RedisClientError>?

    init(configuration: RedisClientConfiguration, logger: Logger) {
        tracking = configuration.invalidationObserver.map { observer in
            TrackingMonitor(observer: observer, trust: configuration.trackingTrust, logger: logger)
        }
        tls =
            configuration.url.isTLS
            ? Result { () throws(RedisClientError) in try TLSSettings(configuration.tls) } : nil
    }

    /// What a connection to this server needs for TLS; `nil` for none.
    ///
    /// - Throws: ``RedisClientError`` that says what is wrong with the settings.
    func tlsPeer(for endpoint: RedisEndpoint) throws(RedisClientError) -> TLSPeer? {
        try tls?.get().peer(for: endpoint)
    }
}
