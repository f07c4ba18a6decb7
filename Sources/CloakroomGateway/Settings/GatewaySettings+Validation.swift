import CloakroomHTTP
import CloakroomOIDC
import Foundation

extension GatewaySettings {
    /// Checks what the types alone don't.
    ///
    /// - Throws: the first thing that is wrong.
    public func validate() throws(SettingsError) {
        guard !host.isEmpty, host.utf8.count <= 255, !host.contains(where: \.isWhitespace) else {
            throw .wrong("HOST", value: host, expected: "an address to listen on, for example 127.0.0.1 or 0.0.0.0")
        }
        guard (0...65_535).contains(port) else {
            throw .wrong("PORT", value: "\(port)", expected: "a number from 1 to 65535, for example 8020")
        }
        if let publicURL, PublicURL(publicURL) == nil {
            throw .wrong(
                "PUBLIC_URL", value: SettingsError.redactedURL(publicURL),
                expected: "https://HOST[:PORT] without a path (http:// for localhost only), "
                    + "for example https://app.example.com")
        }
        if let upstreamURL, !Self.isOrigin(upstreamURL) {
            throw .wrong(
                "UPSTREAM_URL", value: SettingsError.redactedURL(upstreamURL),
                expected: "http(s)://HOST[:PORT] without a path, for example http://localhost:8000")
        }
        try validateStore()
        try validateProvider()
        try refresh.validate()
        try upstream.validate()
        if let replicaName, !replicaName.isVisibleASCII(1...64) {
            throw .wrong("CLOAKROOM_REPLICA_NAME", value: replicaName, expected: "1 to 64 visible ASCII characters")
        }
    }

    private func validateProvider() throws(SettingsError) {
        let issuerForm = "the issuer URL of your identity provider, for example https://id.example.com/realms/main"
        guard !oidcIssuer.isEmpty else { throw .missing("OIDC_ISSUER", expected: issuerForm) }
        guard Self.isWebURL(oidcIssuer), !oidcIssuer.contains("?") else {
            throw .wrong("OIDC_ISSUER", value: SettingsError.redactedURL(oidcIssuer), expected: issuerForm)
        }
        guard !oidcClientID.isEmpty else {
            throw .missing("OIDC_CLIENT_ID", expected: "the client ID that your identity provider knows this app by")
        }
        guard oidcClientID.utf8.count <= 512 else {
            throw .wrong("OIDC_CLIENT_ID", value: oidcClientID, expected: "512 bytes at most")
        }
        if let oidcClientSecret, oidcClientSecret.isEmpty || oidcClientSecret.utf8.count > 4096 {
            throw .wrong("OIDC_CLIENT_SECRET", value: nil, expected: "1 to 4096 bytes, or absent for a public client")
        }
        if let oidcClientAuth, (oidcClientAuth == .none) != (oidcClientSecret == nil) {
            throw .wrong(
                "OIDC_CLIENT_AUTH", value: oidcClientAuth.rawValue,
                expected: "basic or post with OIDC_CLIENT_SECRET, none without")
        }
        guard oidcScopes.contains("openid"), oidcScopes.count <= 64,
            oidcScopes.allSatisfy({ $0.isVisibleASCII(1...128) && !$0.contains("\"") && !$0.contains("\\") })
        else {
            throw .wrong(
                "OIDC_SCOPES", value: oidcScopes.joined(separator: " "),
                expected: "scopes separated by spaces, openid among them, for example \"openid profile email\"")
        }
        guard (1...64).contains(oidcProviderName.count), !oidcProviderName.contains(where: \.isNewline) else {
            throw .wrong("OIDC_PROVIDER_NAME", value: oidcProviderName, expected: "1 to 64 characters")
        }
        if let oidcDiscoveryURL, !Self.isWebURL(oidcDiscoveryURL) {
            throw .wrong(
                "OIDC_DISCOVERY_URL", value: SettingsError.redactedURL(oidcDiscoveryURL),
                expected: "an http(s) URL, for example "
                    + "http://keycloak:8080/realms/main/.well-known/openid-configuration")
        }
    }

    private static func isWebURL(_ text: String) -> Bool { webURL(text) != nil }

    private static func isOrigin(_ text: String) -> Bool {
        guard let parts = webURL(text) else { return false }
        return (parts.path.isEmpty || parts.path == "/") && parts.query == nil
    }

    private static func webURL(_ text: String) -> URLComponents? {
        guard text.isVisibleASCII(1...2000), let parts = URLComponents(string: text),
            parts.scheme == "https" || parts.scheme == "http", let host = parts.host, !host.isEmpty,
            parts.user == nil, parts.password == nil, parts.fragment == nil,
            parts.port.map({ (1...65_535).contains($0) }) ?? true
        else { return nil }
        return parts
    }
}
