import NIOCore
import NIOSSL

/// What TLS connections of one client share: the files of ``RedisTLSConfiguration``, read and checked.
struct TLSSettings: Sendable {
    private let context: NIOSSLContext
    private let serverName: String?

    /// Reads the files.
    ///
    /// - Throws: an error that names the file and says what is wrong with it.
    init(_ options: RedisTLSConfiguration) throws(RedisClientError) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = .fullVerification
        configuration.renegotiationSupport = .none
        // A server that is dead answers no farewell either, and the next connection must not wait for one.
        configuration.shutdownTimeout = .milliseconds(100)
        if let path = options.caFile {
            configuration.trustRoots = .certificates(try Self.certificates(path, role: "the file of authorities"))
        }
        switch (options.certificateFile, options.privateKeyFile) {
        case (let certificateFile?, let privateKeyFile?):
            let chain = try Self.certificates(certificateFile, role: "the certificate file")
            let key = try Self.privateKey(privateKeyFile)
            configuration.certificateChain = chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(key)
        case (nil, nil): break
        case (let certificateFile?, nil):
            throw PEMFile.failure(certificateFile, "the certificate file", "it needs a private key file beside it")
        case (nil, let privateKeyFile?):
            throw PEMFile.failure(privateKeyFile, "the private key file", "it needs a certificate file beside it")
        }
        if let name = options.serverName, !Self.isName(name) {
            throw RedisClientError(
                .handshakeRefused, reason: "the server name for TLS is not a host name; an IP address can't stand there"
            )
        }
        serverName = options.serverName
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            guard let path = options.privateKeyFile, error as? NIOSSLError == .failedToLoadPrivateKey else {
                throw RedisClientError(
                    .handshakeRefused, reason: "TLS can't be set up with these certificates and keys")
            }
            throw PEMFile.failure(
                path, "the private key file", "the key is not that of the first certificate in the certificate file")
        }
    }

    /// What a connection to this server needs; `nil` where there is no network to protect it from.
    ///
    /// - Throws: an error that says that no certificate can hold the server's name.
    func peer(for endpoint: RedisEndpoint) throws(RedisClientError) -> TLSPeer? {
        guard case .tcp(let host, _) = endpoint else { return nil }
        // An address is no name to ask for; it is looked for in the certificate, as that of the other end.
        let name = serverName ?? (Self.isAddress(host) ? nil : Self.withoutFinalDot(host))
        if let name, !Self.isName(name) {
            throw RedisClientError(
                .handshakeRefused,
                reason: "the server's name can't stand in a certificate; a server name for TLS is needed")
        }
        return TLSPeer(context: context, name: name)
    }

    private static func certificates(_ path: String, role: String) throws(RedisClientError) -> [NIOSSLCertificate] {
        let content = try PEMFile.read(path, role: role)
        guard let certificates = try? NIOSSLCertificate.fromPEMBytes(content), !certificates.isEmpty else {
            throw PEMFile.failure(path, role, "it holds no certificate in PEM form, or a damaged one")
        }
        return certificates
    }

    private static func privateKey(_ path: String) throws(RedisClientError) -> NIOSSLPrivateKey {
        let role = "the private key file"
        let content = try PEMFile.read(path, role: role)
        guard let key = try? NIOSSLPrivateKey(bytes: content, format: .pem) else {
            throw PEMFile.failure(path, role, "it holds no private key in PEM form, or one with a passphrase")
        }
        return key
    }

    private static func isAddress(_ host: String) -> Bool {
        host.contains(":") || (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }

    private static func withoutFinalDot(_ host: String) -> String {
        host.hasSuffix(".") ? String(host.dropLast()) : host
    }

    /// Whether it consists of what names in certificates consist of.
    private static func isName(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && !isAddress(text)
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-.".contains($0)) }
    }
}
