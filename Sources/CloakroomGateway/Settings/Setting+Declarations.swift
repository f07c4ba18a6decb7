import CloakroomHTTP
public import CloakroomOIDC
import Foundation
import Logging

extension Setting {
    static let server = [
        Setting(
            "HOST", .server, \.host,
            .text(
                "address", "an address to listen on, for example 127.0.0.1 or 0.0.0.0",
                isValid: { !$0.isEmpty && $0.utf8.count <= 255 && !$0.contains(where: \.isWhitespace) }),
            "the address to listen on"),
        Setting("PORT", .server, \.port, .number(0...65_535, example: 8020), "the port to listen on; 0 for any"),
        Setting(
            "PUBLIC_URL", .server, \.publicURL,
            SettingForm<String>.url(
                "https://HOST[:PORT] without a path (http:// for localhost only), for example https://app.example.com",
                isValid: { PublicURL($0) != nil }
            ).orAbsent,
            "where browsers reach the gateway; https except on localhost", default: "http://localhost:PORT",
            shown: { $0.effectivePublicURL }),
        Setting(
            "TLS_CERT_FILE", .server, \.tls.certificateFile, SettingForm<String>.pemFile.orAbsent,
            "the certificate for TLS on the port, and those that issued it (PEM); read again when it changes",
            default: "plain HTTP"),
        Setting(
            "TLS_KEY_FILE", .server, \.tls.keyFile, SettingForm<String>.pemFile.orAbsent,
            "the private key of that certificate (PEM)"),
        Setting("TLS_MIN_VERSION", .server, \.tls.minimumVersion, .choice, "the lowest version of TLS on the port"),
        Setting("HTTP2", .server, \.tls.offersHTTP2, .either("on", "off"), "offer HTTP/2 over TLS"),
        Setting(
            "CLOAKROOM_REPLICA_NAME", .server, \.replicaName, SettingForm<String>.visible("name", 1...64).orAbsent,
            "a name of this replica, shown on pages and in responses"),
    ]

    static let provider = [
        Setting(
            "OIDC_ISSUER", .provider, \.oidcIssuer,
            .url(
                "the issuer URL of your identity provider, for example https://id.example.com/realms/main",
                // Whether it is there at all is looked at with the other things that must be there.
                isValid: { $0.isEmpty || (WebAddress.isURL($0) && !$0.contains("?")) }),
            "the identity provider's issuer, exactly as the provider writes it", default: "required",
            shown: { $0.oidcIssuer.isEmpty ? nil : $0.oidcIssuer }),
        Setting(
            "OIDC_CLIENT_ID", .provider, \.oidcClientID,
            .text("id", "512 bytes at most", isValid: { $0.utf8.count <= 512 }), "this app's client ID at the provider",
            default: "required", shown: { $0.oidcClientID.isEmpty ? nil : $0.oidcClientID }),
        Setting(
            "OIDC_CLIENT_SECRET", .provider, \.oidcClientSecret,
            SettingForm<String>.text(
                "secret", "1 to 4096 bytes, or absent for a public client",
                isValid: { (1...4096).contains($0.utf8.count) }
            ).orAbsent,
            "this app's client secret at the provider", isSecret: true),
        Setting(
            "OIDC_CLIENT_AUTH", .provider, \.oidcClientAuth,
            SettingForm<OIDCConfiguration.ClientAuthentication>.choice.orAbsent,
            "how this app shows the provider that it is the client",
            default: "follows from what is given: basic with a secret, private_key_jwt with a key, none without",
            shown: { $0.effectiveClientAuth.rawValue }),
        Setting(
            "OIDC_SCOPES", .provider, \.oidcScopes,
            SettingForm(
                "scopes",
                "scopes separated by spaces, openid among them, for example \"openid profile email\"",
                isValid: { scopes in
                    scopes.contains("openid") && scopes.count <= 64
                        && scopes.allSatisfy { $0.isVisibleASCII(1...128) && !$0.contains { "\"\\".contains($0) } }
                }, text: { $0.joined(separator: " ") },
                parse: { (text) throws(Unfit) in text.split { $0 == " " || $0 == "," }.map(String.init) }),
            "what to ask the provider for", listSeparator: " "),
        Setting(
            "OIDC_PROVIDER_NAME", .provider, \.oidcProviderName,
            .text(
                "name", "1 to 64 characters",
                isValid: { (1...64).contains($0.count) && !$0.contains(where: \.isNewline) }),
            "the provider's name on the login button"),
        Setting(
            "OIDC_DISCOVERY_URL", .provider, \.oidcDiscoveryURL,
            SettingForm<String>.url(
                "an http(s) URL, for example http://keycloak:8080/realms/main/.well-known/openid-configuration",
                isValid: { WebAddress.isURL($0) }
            ).orAbsent,
            "where to fetch the provider's metadata if not below the issuer"),
        Setting(
            "OIDC_LOGOUT_TOKEN_TYPES", .provider, \.oidcLogoutTokenTypes, .choice,
            "which logout tokens are accepted; lenient for Keycloak before 24 and others whose tokens have the type JWT or none"
        ),
        Setting(
            "REFRESH_MARGIN", .provider, \.refresh.margin, .time(.seconds(1) ... .seconds(3600), example: "30s"),
            "how long before its end an access token is refreshed"),
        Setting(
            "REFRESH_BACKOFF_MAX", .provider, \.refresh.longestBackoff,
            .time(.seconds(1) ... .seconds(3600), example: "30s"),
            "the longest time between two tries while the provider is down"),
    ]

    static let upstream = [
        Setting(
            "UPSTREAM_URL", .upstream, \.upstreamURL,
            SettingForm<String>.url(
                "http(s)://HOST[:PORT] without a path, for example http://localhost:8000",
                isValid: { WebAddress.isOrigin($0) }
            ).orAbsent,
            "where /api/** goes, with Authorization: Bearer"),
        Setting(
            "UPSTREAM_MAX_CONCURRENT", .upstream, \.upstream.maximumConcurrent, .number(1...10_000),
            "concurrent requests to the upstream; more wait for a place, then get 503"),
        Setting(
            "UPSTREAM_MAX_CONCURRENT_PER_SESSION", .upstream, \.upstream.maximumConcurrentPerSession,
            .number(1...10_000), "how many of those one session may have"),
        Setting(
            "UPSTREAM_TIMEOUT", .upstream, \.upstream.timeout, .time(.seconds(1) ... .seconds(3600), example: "60s"),
            "how long the upstream may take until its response begins; then 504"),
        Setting(
            "UPSTREAM_QUEUE_TIMEOUT", .upstream, \.upstream.queueTime,
            .time(.seconds(1) ... .seconds(3600), example: "5s"),
            "how long a request waits for a place among the concurrent ones; then 503 with Retry-After"),
        Setting(
            "UPSTREAM_CONNECT_TIMEOUT", .upstream, \.upstream.connectTime,
            .time(.seconds(1) ... .seconds(3600), example: "5s"),
            "how long a connection to the upstream may take to be made; then 504"),
        Setting(
            "UPSTREAM_RESPONSE_TIMEOUT", .upstream, \.upstream.responseTime,
            .time(.seconds(1) ... .seconds(86_400), example: "300s"),
            "how long a response may stand still once it has begun; then it is cut off"),
    ]

    static let log = [
        Setting(
            "LOG_LEVEL", .log, \.logLevel,
            SettingForm(
                "level", "one of " + Logger.Level.allCases.map(\.rawValue).joined(separator: ", "),
                text: { $0.rawValue }
            ) { (text) throws(Unfit) in
                guard let level = Logger.Level(rawValue: text.lowercased()) else {
                    throw Unfit()
                }
                return level
            }, "the lowest level that is logged"),
        Setting("LOG_FORMAT", .log, \.logFormat, .choice, "how log lines look; json for machines"),
    ]
}

extension OIDCConfiguration.ClientAuthentication: CaseIterable {
    public static let allCases: [Self] = [.basic, .post, .privateKeyJWT, .assertion, .tls, .none]
}

/// Addresses of the web.
enum WebAddress {
    /// Whether this is an http or https URL without user, password or fragment.
    static func isURL(_ text: String) -> Bool { parts(text) != nil }

    /// Whether this is such a URL of a host and perhaps a port alone.
    static func isOrigin(_ text: String) -> Bool {
        guard let parts = parts(text) else { return false }
        return (parts.path.isEmpty || parts.path == "/") && parts.query == nil
    }

    private static func parts(_ text: String) -> URLComponents? {
        guard text.isVisibleASCII(1...2000), let parts = URLComponents(string: text),
            parts.scheme == "https" || parts.scheme == "http", let host = parts.host, !host.isEmpty,
            parts.user == nil, parts.password == nil, parts.fragment == nil,
            parts.port.map({ (1...65_535).contains($0) }) ?? true
        else { return nil }
        return parts
    }
}
