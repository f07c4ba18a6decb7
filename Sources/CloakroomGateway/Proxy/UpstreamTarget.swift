import Foundation
import NIOCore
import NIOSSL

/// Where requests for `/api/**` go.
struct UpstreamTarget: Sendable {
    let host: String
    let port: Int
    /// The `Host` field, with its end.
    let hostField: [UInt8]
    /// What makes TLS connections; `nil` over plain TCP.
    let tls: NIOSSLContext?

    /// - Parameter url: `http(s)://HOST[:PORT]`, as the setting was found to be.
    init(_ url: String) throws {
        guard let parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased(),
            let host = parts.percentEncodedHost, !host.isEmpty
        else { throw SettingsError.missing("UPSTREAM_URL", expected: "http(s)://HOST[:PORT] without a path") }
        let isSecure = scheme == "https"
        let usual = isSecure ? 443 : 80
        port = parts.port ?? usual
        // Literal IPv6 addresses are connected to without their brackets.
        self.host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        let authority = port == usual ? host : "\(host):\(port)"
        hostField = Array("Host: \(authority)\r\n".utf8)
        tls = isSecure ? try NIOSSLContext(configuration: .makeClientConfiguration()) : nil
    }

    /// Adds TLS to a connection, where the URL asks for it: the certificate must be valid for the host.
    func addTLS(to channel: any Channel) throws {
        guard let tls else { return }
        // Server names are names: an address is looked for in the certificate, and not sent (RFC 6066 §3).
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        try channel.pipeline.syncOperations.addHandler(
            NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : host))
    }
}
