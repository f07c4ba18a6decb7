/// How connections are encrypted, for URLs that ask for it (`rediss://` and its like).
///
/// TLS is 1.2 or newer, and the server's certificate and name are always verified: the name that the URL has, or that a
/// sentinel or a cluster gave, must be in the certificate; for an IP address, the address.
public struct RedisTLSConfiguration: Sendable, Equatable {
    /// A PEM file of the certificate authorities to trust instead of the system's.
    public var caFile: String?
    /// A PEM file of our certificate chain, our own certificate first, for servers that ask for one.
    public var certificateFile: String?
    /// A PEM file of our certificate's private key, without a passphrase.
    public var privateKeyFile: String?
    /// The name that server certificates must have, where it is not the host to which we connect. Not an IP address.
    public var serverName: String?

    /// The defaults: the system's authorities, no certificate of ours, the host's name.
    public init() {}

    /// Reads the files and checks all that can be known without a server.
    ///
    /// - Throws: ``RedisClientError`` that names the file and says what is wrong with it.
    package func validate() throws(RedisClientError) { _ = try TLSSettings(self) }
}
