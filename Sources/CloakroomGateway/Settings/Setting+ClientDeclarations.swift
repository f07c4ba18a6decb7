import CloakroomOIDC

extension Setting {
    /// What this app shows the provider in place of a secret, and how it talks to it.
    static let client = [
        Setting(
            "OIDC_CLIENT_KEY_FILE", .provider, \.client.keyFile, SettingForm<String>.pemFile.orAbsent,
            "private keys for private_key_jwt (PEM): the first signs, all are published at /auth/jwks.json; read again when "
                + "it changes"),
        Setting(
            "OIDC_CLIENT_ASSERTION_AUDIENCE", .provider, \.client.assertionAudience, .choice,
            "whom the assertions are for that these keys sign: the address of the token endpoint, or the issuer"),
        Setting(
            "OIDC_CLIENT_ASSERTION_FILE", .provider, \.client.assertionFile,
            SettingForm<String>.text("path", "a file that holds a signed JWT").orAbsent,
            "a JWT that says who this app is, such as a Kubernetes or SPIFFE token; read again when it changes"),
        Setting(
            "OIDC_CLIENT_CERT_FILE", .provider, \.client.certificateFile, SettingForm<String>.pemFile.orAbsent,
            "the client certificate for the provider, and those that issued it (PEM); read again when it changes"),
        Setting(
            "OIDC_CLIENT_CERT_KEY_FILE", .provider, \.client.certificateKeyFile, SettingForm<String>.pemFile.orAbsent,
            "the private key of that certificate (PEM)"),
        Setting(
            "OIDC_CA_FILE", .provider, \.client.authoritiesFile, SettingForm<String>.pemFile.orAbsent,
            "certificate authorities to trust for the provider (PEM)", default: "the system's"),
        Setting(
            "OIDC_PAR", .provider, \.client.pushedAuthorization, .choice,
            "send authorization requests to the provider before the browser goes there (PAR, RFC 9126); auto: if it "
                + "offers that"),
    ]
}
