package import CloakroomOIDC
import NIOSSL

/// What the app shows one provider to prove that it is the client there, as settings give it.
package struct ClientProof: Sendable {
    /// The way to authenticate; `nil` for what follows from the rest.
    let method: OIDCConfiguration.ClientAuthentication?
    let secret: String?
    /// Where ``secret`` was read.
    let secretFile: String?
    let settings: ClientSettings
    /// The name of a setting for errors, from its name without what all have in common: `client_key_file`.
    let name: @Sendable (String) -> String

    /// The way to authenticate that counts.
    package var effectiveMethod: OIDCConfiguration.ClientAuthentication {
        if let method { return method }
        if secret != nil { return .basic }
        if settings.keyFile != nil { return .privateKeyJWT }
        if settings.assertionFile != nil { return .assertion }
        return settings.certificateKeyFile == nil ? .none : .tls
    }

    /// What there is to show, read from its files now.
    ///
    /// - Throws: the setting whose file can't be used.
    package func read() throws(SettingsError) -> ClientCredentials.Values {
        var values = ClientCredentials.Values()
        values.secret = secret
        if let secretFile { values.secret = try read("client_secret_file", secretFile) { $0 } }
        if let path = settings.keyFile {
            values.keys = try read("client_key_file", path) { (text) throws(ClientCredentialsError) in
                try ClientKey.read(text)
            }
        }
        if let path = settings.assertionFile {
            values.assertion = try read("client_assertion_file", path) { (text) throws(ClientCredentialsError) in
                try ClientCredentials.assertion(text)
            }
        }
        if let path = settings.certificateFile {
            var key: String?
            if let path = settings.certificateKeyFile { key = try read("client_cert_key_file", path) { $0 } }
            values.certificate = try read("client_cert_file", path) { (text) throws(ClientCredentialsError) in
                try ClientCertificate(certificates: text, key: key)
            }
        }
        return values
    }

    /// The files that ``read()`` reads.
    var files: [String] {
        [
            secretFile, settings.keyFile, settings.assertionFile, settings.certificateFile,
            settings.certificateKeyFile,
        ].compactMap { $0 }
    }

    /// Has a relying party use it.
    ///
    /// - Parameter credentials: what there is to show; replaced when it changes.
    func apply(to configuration: inout OIDCConfiguration, _ credentials: ClientCredentials) {
        configuration.clientAuthentication = effectiveMethod
        configuration.credentials = credentials
        configuration.assertionAudience = settings.assertionAudience
        configuration.pushedAuthorization = settings.pushedAuthorization
        if let path = settings.authoritiesFile {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .file(path)
            configuration.tlsConfiguration = tls
        }
    }

    /// Checks that there is what the way to authenticate needs, and nothing that would not be used.
    func validate() throws(SettingsError) {
        let needed = self.needed
        if let needed, needed.value == nil { throw wrongMethod() }
        for other in [
            ("client_secret", secret), ("client_key_file", settings.keyFile),
            ("client_assertion_file", settings.assertionFile),
        ] where other.1 != nil && other.0 != needed?.setting {
            guard method == nil else { throw wrongMethod(because: "\(name(other.0)) is given, and would not be used") }
            throw SettingsError(
                setting: name(other.0),
                reason: "and \(name(needed?.setting ?? "client_auth")) are both given; leave one of them out")
        }
        switch (settings.certificateFile, settings.certificateKeyFile) {
        case (nil, _?):
            throw .missing(
                name("client_cert_file"), expected: "the certificate of the key in \(name("client_cert_key_file"))")
        case (_?, nil) where effectiveMethod != .privateKeyJWT:
            throw .missing(
                name("client_cert_key_file"),
                expected: "the private key of the certificate in \(name("client_cert_file"))")
        default: break
        }
        if let path = settings.authoritiesFile {
            guard let authorities = try? NIOSSLCertificate.fromPEMFile(path), !authorities.isEmpty else {
                throw .wrong(name("ca_file"), value: path, expected: "a file of certificates in PEM")
            }
        }
        _ = try read()
    }

    /// What the way to authenticate needs.
    private var needed: (setting: String, value: String?)? {
        switch effectiveMethod {
        case .basic, .post: ("client_secret", secret)
        case .privateKeyJWT: ("client_key_file", settings.keyFile)
        case .assertion: ("client_assertion_file", settings.assertionFile)
        case .tls: ("client_cert_key_file", settings.certificateKeyFile)
        case .none: nil
        }
    }

    private func wrongMethod(because reason: String? = nil) -> SettingsError {
        let ways = [
            "basic or post with \(name("client_secret"))", "private_key_jwt with \(name("client_key_file"))",
            "assertion with \(name("client_assertion_file"))",
            "tls with \(name("client_cert_file")) and \(name("client_cert_key_file"))", "none without",
        ]
        return .wrong(
            name("client_auth"), value: effectiveMethod.rawValue, because: reason,
            expected: ways.joined(separator: ", "))
    }

    private func read<Value>(
        _ setting: String, _ path: String, _ use: (String) throws(ClientCredentialsError) -> Value
    ) throws(SettingsError) -> Value {
        func problem(_ reason: String) -> SettingsError {
            SettingsError(setting: name(setting), reason: "\(SettingsError.quoted(path)) \(reason)")
        }
        let text: String
        do throws(SettingsFile.Problem) {
            text = try SettingsFile.secret(at: path).text
        } catch {
            throw problem(error.reason)
        }
        do throws(ClientCredentialsError) {
            return try use(text)
        } catch {
            throw problem(error.reason)
        }
    }
}

/// It holds the secret, and services are shown in the log with all that they hold.
extension ClientProof: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "ClientProof(\(effectiveMethod.rawValue))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
