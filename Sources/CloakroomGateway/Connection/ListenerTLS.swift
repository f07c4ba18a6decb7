import NIOCore
import NIOSSL
import Synchronization

/// The certificate and key of the listener, read again when they change: connections that are made from then on use them.
final class ListenerTLS: Sendable {
    private let settings: ListenerTLSSettings
    private let certificateFile: String
    private let keyFile: String
    private let context: Mutex<NIOSSLContext>

    /// - Returns: `nil` if the settings name no certificate.
    /// - Throws: ``SettingsError`` when certificate and key can't be read, or do not belong together.
    init?(_ settings: ListenerTLSSettings) throws(SettingsError) {
        guard let certificateFile = settings.certificateFile, let keyFile = settings.keyFile else { return nil }
        self.settings = settings
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        do {
            context = Mutex(try Self.context(certificateFile, keyFile, settings))
        } catch {
            throw .wrong(
                "TLS_CERT_FILE", value: certificateFile, because: "it can't be used with TLS_KEY_FILE",
                expected: "a certificate in PEM, and its private key in TLS_KEY_FILE")
        }
    }

    /// Reads both files again.
    ///
    /// - Throws: when they can't be used; then those read before stay in use.
    func renew() throws {
        let new = try Self.context(certificateFile, keyFile, settings)
        context.withLock { $0 = new }
    }

    /// What ends TLS on a new connection.
    func handler() -> NIOSSLServerHandler { NIOSSLServerHandler(context: context.withLock { $0 }) }

    private static func context(
        _ certificateFile: String, _ keyFile: String, _ settings: ListenerTLSSettings
    ) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificateFile).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem)))
        configuration.minimumTLSVersion = settings.minimumVersion == .tls13 ? .tlsv13 : .tlsv12
        configuration.applicationProtocols = (settings.offersHTTP2 ? ["h2"] : []) + ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }
}
