import CloakroomRedisClient

/// Where a secret is kept.
package struct SecretOrigin: Sendable, Equatable {
    /// The setting's name.
    package let name: String
    /// Where it was read: `flag`, `environment`, or a file and perhaps a line.
    package let place: String
    /// The file of its own that holds it, or that is it, as a private key's; `nil` if it stands among other settings.
    package let file: String?
    /// Whether that file may be read by every user of this machine.
    package let isReadableByAll: Bool
}

extension GatewaySettings {
    /// Where each secret is from that was given: passwords, keys, and the files of private keys. A URL counts if it holds a
    /// password.
    package var secretOrigins: [SecretOrigin] {
        let shown = effectiveSettings.reduce(into: [:]) { $0[$1.name] = $1.value }
        var all: [SecretOrigin] = Setting.all.compactMap { setting in
            guard setting.isSecret, let origin = origins[setting.name], shown[setting.name]?.contains("***") == true
            else { return nil }
            return SecretOrigin(
                name: setting.name, place: origin.place, file: origin.file,
                isReadableByAll: origin.file.map(SettingsFile.isReadableByAll) ?? false)
        }
        for (name, path) in [
            ("TLS_KEY_FILE", tls.keyFile), ("REDIS_TLS_KEY_FILE", redis.tls.privateKeyFile),
            ("OIDC_CLIENT_KEY_FILE", client.keyFile), ("OIDC_CLIENT_CERT_KEY_FILE", client.certificateKeyFile),
        ] {
            guard let path else { continue }
            all.append(
                SecretOrigin(
                    name: name, place: origins[name]?.place ?? "", file: path,
                    isReadableByAll: SettingsFile.isReadableByAll(path)))
        }
        return all
    }
}
