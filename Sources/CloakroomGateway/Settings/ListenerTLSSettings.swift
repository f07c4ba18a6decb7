/// How browsers reach the gateway over TLS, where nothing before it ends that.
public struct ListenerTLSSettings: Sendable, Equatable {
    /// The lowest version that is spoken.
    public enum Version: String, Sendable, CaseIterable {
        case tls12 = "1.2"
        case tls13 = "1.3"
    }

    /// The certificate and those that issued it, in PEM (`TLS_CERT_FILE`); `nil` for plain HTTP.
    public var certificateFile: String?
    /// Its private key, in PEM (`TLS_KEY_FILE`).
    public var keyFile: String?
    /// The lowest version (`TLS_MIN_VERSION`).
    public var minimumVersion = Version.tls12
    /// Whether HTTP/2 is offered over it (`HTTP2`).
    public var offersHTTP2 = true

    /// The defaults.
    public init() {}
}
