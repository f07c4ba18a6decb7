extension GatewaySettings {
    /// Checks what the types alone don't: each setting, and those that must fit each other.
    ///
    /// - Throws: the first thing that is wrong.
    public func validate() throws(SettingsError) { try validate(needsProvider: true) }

    /// - Parameter needsProvider: whether the provider's settings must be there.
    func validate(needsProvider: Bool) throws(SettingsError) {
        for (name, value, expected) in [
            (
                "OIDC_ISSUER", oidcIssuer,
                "the issuer URL of your identity provider, for example https://id.example.com/realms/main"
            ),
            ("OIDC_CLIENT_ID", oidcClientID, "the client ID of this app at your identity provider"),
        ] where needsProvider && value.isEmpty {
            throw .missing(name, expected: expected)
        }
        for setting in Setting.all { try setting.check(self) }
        try validateStore()
        switch (tls.certificateFile, tls.keyFile) {
        case (nil, nil), (.some, .some): break
        case (_, nil): throw .missing("TLS_KEY_FILE", expected: "the private key of the certificate in TLS_CERT_FILE")
        case (nil, _): throw .missing("TLS_CERT_FILE", expected: "the certificate of the private key in TLS_KEY_FILE")
        }
        if management.isAuditRequired, management.auditLog == nil {
            throw .missing("AUDIT_LOG", expected: "stdout or the path of a file, as AUDIT_REQUIRED is true")
        }
        if needsProvider { try clientProof.validate() }
    }
}
