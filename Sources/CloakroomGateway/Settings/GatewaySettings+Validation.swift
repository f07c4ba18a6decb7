import CloakroomHummingbird
import CloakroomOIDC
import CloakroomRedis
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
        if let replicaName, !Self.isVisible(replicaName, lengths: 1...64) {
            throw .wrong("CLOAKROOM_REPLICA_NAME", value: replicaName, expected: "1 to 64 visible ASCII characters")
        }
    }

    private func validateStore() throws(SettingsError) {
        do {
            _ = try RedisURL(redisURL)
        } catch {
            throw .wrong(
                "REDIS_URL", value: SettingsError.redactedURL(redisURL), because: "\(error)",
                expected: "a URL such as redis://redis:6379/0")
        }
        guard Self.isVisible(redisKeyPrefix, lengths: 1...128) else {
            throw .wrong(
                "REDIS_KEY_PREFIX", value: redisKeyPrefix,
                expected: "1 to 128 visible ASCII characters, for example session:")
        }
        let range = Duration.seconds(1)...Duration.seconds(366 * 86_400)
        guard range.contains(sessionTimeout) else {
            throw .wrong(
                "SESSION_TIMEOUT", value: "\(sessionTimeout)",
                expected: "a time from 1s to 366d, for example 8h or 1h30m")
        }
        if let sessionIdleTimeout, !range.contains(sessionIdleTimeout) {
            throw .wrong(
                "SESSION_IDLE_TIMEOUT", value: "\(sessionIdleTimeout)",
                expected: "off, or a time from 1s to 366d, for example 30m")
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
            oidcScopes.allSatisfy({ Self.isVisible($0, lengths: 1...128) && !$0.contains("\"") && !$0.contains("\\") })
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
        guard isVisible(text, lengths: 1...2000), let parts = URLComponents(string: text),
            parts.scheme == "https" || parts.scheme == "http", let host = parts.host, !host.isEmpty,
            parts.user == nil, parts.password == nil, parts.fragment == nil,
            parts.port.map({ (1...65_535).contains($0) }) ?? true
        else { return nil }
        return parts
    }

    private static func isVisible(_ text: String, lengths: ClosedRange<Int>) -> Bool {
        lengths.contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
