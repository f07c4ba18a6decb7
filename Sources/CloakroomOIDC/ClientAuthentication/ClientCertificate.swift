import Cloakroom
import Crypto
import NIOSSL

/// The certificate of this client: for mutual TLS with the provider (RFC 8705), and to name the key that signs assertions.
///
/// `description` and reflection show its thumbprint alone.
public struct ClientCertificate: Sendable {
    /// The SHA-256 thumbprint in base64url, as `x5t#S256` has it (RFC 7515 §4.1.8).
    public let thumbprint: String
    /// The public key of the certificate, in DER.
    let subjectPublicKeyInfo: [UInt8]
    private let chain: [NIOSSLCertificate]
    private let key: NIOSSLPrivateKey?

    /// Whether it can be shown to a server: whether there is its private key.
    public var isForTLS: Bool { key != nil }

    /// Reads a certificate, and those that issued it, from PEM.
    ///
    /// - Parameters:
    ///   - certificates: the client's own first.
    ///   - key: its private key in PEM; `nil` for a certificate that only names the key that signs assertions.
    public init(certificates: String, key: String?) throws(ClientCredentialsError) {
        guard let chain = try? NIOSSLCertificate.fromPEMBytes(Array(certificates.utf8)), let first = chain.first,
            let der = try? first.toDERBytes(), let info = try? first.extractPublicKey().toSPKIBytes()
        else { throw ClientCredentialsError("holds no certificate in PEM") }
        self.chain = chain
        thumbprint = Base64URL.encode(Array(SHA256.hash(data: der)))
        subjectPublicKeyInfo = info
        guard let text = key else {
            self.key = nil
            return
        }
        guard let privateKey = try? NIOSSLPrivateKey(bytes: Array(text.utf8), format: .pem) else {
            throw ClientCredentialsError("has a private key that can't be read: it must be in PEM, and not encrypted")
        }
        self.key = privateKey
        // Whether the two belong together shows when they are used.
        guard (try? NIOSSLContext(configuration: adding(to: nil))) != nil else {
            throw ClientCredentialsError("has a private key that is not its own")
        }
    }

    /// A configuration that shows this certificate to servers that ask for one.
    ///
    /// - Parameter base: what else holds for the connection; `nil` for the defaults.
    func adding(to base: TLSConfiguration?) -> TLSConfiguration {
        var configuration = base ?? .makeClientConfiguration()
        guard let key else { return configuration }
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(key)
        return configuration
    }
}

extension ClientCertificate: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The thumbprint, which is public.
    public var description: String { "ClientCertificate(\(thumbprint))" }
    /// The same as ``description``.
    public var debugDescription: String { description }
    /// Shows what ``description`` shows.
    public var customMirror: Mirror { Mirror(self, children: ["thumbprint": thumbprint]) }
}
