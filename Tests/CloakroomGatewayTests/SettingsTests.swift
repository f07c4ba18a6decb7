import CloakroomOIDC
import Foundation
import Logging
import Testing

@testable import CloakroomGateway

@Suite struct SettingsTests {
    private static let required = ["OIDC_ISSUER": "https://id.example.com/realms/main", "OIDC_CLIENT_ID": "app"]

    /// An empty file, so that no `.env` of whoever runs the tests counts.
    private let emptyFile = FileManager.default.temporaryDirectory.appending(path: "cloakroom-empty.env")

    init() throws { try Data().write(to: emptyFile) }

    private func load(
        _ environment: [String: String], flags: [String: String] = [:], file: String? = nil
    ) async throws(SettingsError) -> GatewaySettings {
        try await GatewaySettings.load(
            flags: flags, environment: Self.required.merging(environment) { $1 },
            environmentFile: file ?? emptyFile.path)
    }

    private func failure(_ environment: [String: String]) async throws -> String {
        let error = await #expect(throws: SettingsError.self) { try await load(environment) }
        return try #require(error).description
    }

    @Test("The defaults are those that the documentation names")
    func defaults() async throws {
        let settings = try await load([:])
        #expect(settings.host == "127.0.0.1" && settings.port == 8020)
        #expect(settings.effectivePublicURL == "http://localhost:8020" && settings.upstreamURL == nil)
        #expect(!settings.redisEnabled && settings.redisURL == "redis://redis:6379/0")
        #expect(settings.redisKeyPrefix == "session:")
        #expect(settings.sessionTimeout == .seconds(28_800) && settings.sessionIdleTimeout == nil)
        #expect(settings.oidcScopes == ["openid", "profile", "email"] && settings.oidcProviderName == "Keycloak")
        #expect(settings.oidcClientSecret == nil && settings.oidcClientAuth == nil && settings.oidcDiscoveryURL == nil)
        #expect(settings.refresh.margin == .seconds(30) && settings.refresh.longestBackoff == .seconds(30))
        #expect(settings.logLevel == .info && settings.logFormat == .text && settings.replicaName == nil)
    }

    @Test("Every setting is read under its name in the environment")
    func names() async throws {
        let settings = try await load([
            "HOST": "0.0.0.0", "PORT": "9000", "PUBLIC_URL": "https://app.example.com",
            "UPSTREAM_URL": "http://api:8000", "REDIS_ENABLED": "true", "REDIS_URL": "redis://:p@cache:6380/2",
            "REDIS_KEY_PREFIX": "s:", "SESSION_TIMEOUT": "1h30m", "SESSION_IDLE_TIMEOUT": "30m",
            "OIDC_CLIENT_SECRET": "shh", "OIDC_CLIENT_AUTH": "post", "OIDC_SCOPES": "openid,roles  email",
            "OIDC_PROVIDER_NAME": "Our Login", "OIDC_DISCOVERY_URL": "http://keycloak:8080/x", "LOG_LEVEL": "debug",
            "LOG_FORMAT": "json", "CLOAKROOM_REPLICA_NAME": "r1", "REFRESH_MARGIN": "1m", "REFRESH_BACKOFF_MAX": "10s",
        ])
        #expect(settings.host == "0.0.0.0" && settings.port == 9000)
        #expect(settings.effectivePublicURL == "https://app.example.com" && settings.upstreamURL == "http://api:8000")
        #expect(
            settings.redisEnabled && settings.redisURL == "redis://:p@cache:6380/2" && settings.redisKeyPrefix == "s:")
        #expect(settings.sessionTimeout == .seconds(5400) && settings.sessionIdleTimeout == .seconds(1800))
        #expect(settings.oidcClientSecret == "shh" && settings.oidcClientAuth == .post)
        #expect(settings.oidcScopes == ["openid", "roles", "email"] && settings.oidcProviderName == "Our Login")
        #expect(settings.oidcDiscoveryURL == "http://keycloak:8080/x")
        #expect(settings.refresh.margin == .seconds(60) && settings.refresh.longestBackoff == .seconds(10))
        #expect(settings.logLevel == .debug && settings.logFormat == .json && settings.replicaName == "r1")
        #expect(!"\(settings)".contains("shh") && !String(reflecting: settings).contains("shh"))
    }

    @Test("Flags win over the environment, and that over the .env file; empty counts as absent")
    func precedence() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).env")
        try Data("# comment\nPORT=2\nHOST=10.0.0.2\nREDIS_KEY_PREFIX = x=y\n".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let settings = try await load(
            ["PORT": "1", "HOST": "10.0.0.1", "LOG_FORMAT": "json", "UPSTREAM_URL": ""], flags: ["PORT": "3"],
            file: file.path)
        #expect(settings.port == 3 && settings.host == "10.0.0.1" && settings.logFormat == .json)
        #expect(settings.redisKeyPrefix == "x=y" && settings.upstreamURL == nil)
        // Commas are part of a flag's value.
        #expect(try await load([:], flags: ["OIDC_SCOPES": "openid,email"]).oidcScopes == ["openid", "email"])
    }

    @Test("A file that was named must be there")
    func missingFile() async throws {
        let error = await #expect(throws: SettingsError.self) { try await load([:], file: "/nowhere/.env") }
        #expect(error?.description.contains("/nowhere/.env") == true)
    }

    @Test(
        "A wrong value is one line that names the setting, the value and what would be right",
        arguments: [
            ("HOST", "a b", "127.0.0.1"), ("PORT", "0x10", "8020"), ("PORT", "70000", "8020"), ("PORT", "-1", "8020"),
            ("PUBLIC_URL", "http://app.example.com", "https://"), ("PUBLIC_URL", "https://a/b", "without a path"),
            ("UPSTREAM_URL", "localhost:8000", "http"), ("UPSTREAM_URL", "http://a/b", "without a path"),
            ("REDIS_ENABLED", "maybe", "true or false"), ("REDIS_URL", "http://redis", "redis://"),
            ("REDIS_KEY_PREFIX", "a b", "session:"), ("SESSION_TIMEOUT", "8 hours", "8h"),
            ("SESSION_TIMEOUT", "0", "1s"), ("SESSION_TIMEOUT", "999999999d", "366d"),
            ("SESSION_IDLE_TIMEOUT", "never", "off"), ("OIDC_ISSUER", "id.example.com", "https://"),
            ("OIDC_CLIENT_AUTH", "jwt", "basic"), ("OIDC_CLIENT_AUTH", "basic", "OIDC_CLIENT_SECRET"),
            ("REFRESH_MARGIN", "0", "1s to 1h"), ("REFRESH_BACKOFF_MAX", "2h", "1s to 1h"),
            ("REFRESH_MARGIN", "x", "30s"),
            ("OIDC_SCOPES", "profile", "openid"), ("OIDC_DISCOVERY_URL", "keycloak", "http"),
            ("LOG_LEVEL", "loud", "debug"), ("LOG_FORMAT", "xml", "text or json"),
            ("CLOAKROOM_REPLICA_NAME", "a\r\nb", "visible"),
        ])
    func wrongValue(name: String, value: String, expected: String) async throws {
        let line = try await failure([name: value])
        #expect(line.hasPrefix(name + " "))
        #expect(line.contains(expected))
        #expect(!line.contains { $0.isNewline })
        let shown = line.contains("\"")
        #expect(shown)
    }

    @Test("Without an issuer or a client ID there is one clear line")
    func missing() async throws {
        #expect(try await failure(["OIDC_ISSUER": ""]).hasPrefix("OIDC_ISSUER is missing; give "))
        #expect(try await failure(["OIDC_CLIENT_ID": ""]).hasPrefix("OIDC_CLIENT_ID is missing; give "))
    }

    @Test(
        "R46: no password and no secret is in a message about a wrong setting",
        arguments: [
            ("REDIS_URL", "redis://user:hunter2@:99"), ("REDIS_URL", "redis://:hunter2@h/x"),
            ("REDIS_URL", "redis://:hunter2"), ("REDIS_URL", "redis://user:hunter2/0"),
            ("REDIS_URL", "redis://u:p@hunter2@h:x"), ("REDIS_URL", "redis://h:6379/0?password=hunter2"),
            ("REDIS_URL", "redis://h?password=p@hunter2"), ("REDIS_URL", "redis://:p?hunter2@h"),
            ("UPSTREAM_URL", "http://u:hunter2@api"), ("UPSTREAM_URL", "http://api/?key=hunter2"),
            ("OIDC_ISSUER", "https://u:hunter2@id.example.com"),
            ("OIDC_CLIENT_SECRET", String(repeating: "hunter2", count: 1000)), ("SESSION_KEYS", "hunter2"),
            ("REDIS_SENTINEL_PASSWORD", String(repeating: "hunter2", count: 1000)),
            ("REDIS_SECONDARY_URL", "redis://:hunter2@h/x"),
            ("REDIS_SECONDARY_URL", "redis://:hunter2@h"),
        ])
    func redaction(name: String, value: String) async throws {
        let line = try await failure([name: value])
        #expect(line.hasPrefix(name + " ") && !line.contains("hunter2"))
    }

    @Test(
        "Times are read as people write them",
        arguments: [
            ("8h", 28_800), ("30m", 1800), ("90s", 90), ("1h30m", 5400), ("1d", 86_400), ("3600", 3600), ("1h1s", 3601),
            ("", nil), ("h", nil), ("30m1h", nil), ("1h1h", nil), ("1.5h", nil), ("-1h", nil), ("8H", nil),
            ("1h30", nil),
            ("9999999999", nil), ("٣h", nil),
        ] as [(String, Int?)])
    func durations(text: String, seconds: Int?) {
        #expect(SettingsDuration.parse(text) == seconds.map { .seconds($0) })
    }
}
