import Cloakroom
import CloakroomRedis
import Foundation
import Logging
import Testing

@testable import CloakroomGateway

@Suite struct StoreSettingsTests {
    private static let required = ["OIDC_ISSUER": "https://id.example.com/realms/main", "OIDC_CLIENT_ID": "app"]
    private let emptyFile = FileManager.default.temporaryDirectory.appending(path: "cloakroom-empty.env")
    private let pemFile = FileManager.default.temporaryDirectory.appending(path: "cloakroom-some.pem").path

    init() throws {
        try Data().write(to: emptyFile, options: .atomic)
        try Data("-----BEGIN CERTIFICATE-----\n".utf8).write(to: URL(filePath: pemFile), options: .atomic)
    }

    private func load(_ environment: [String: String]) async throws(SettingsError) -> GatewaySettings {
        try await GatewaySettings.load(
            environment: Self.required.merging(environment) { $1 }, environmentFile: emptyFile.path)
    }

    private func failure(_ environment: [String: String]) async throws -> String {
        let error = await #expect(throws: SettingsError.self) { try await load(environment) }
        return try #require(error).description
    }

    @Test("The defaults of the store are those that the documentation names")
    func defaults() async throws {
        let settings = try await load([:])
        #expect(settings.effectiveStore == .memory && settings.sessionMaximumPerUser == nil)
        #expect(!settings.redis.isURLGiven && settings.redis.maximumConnections == 2)
        #expect(settings.redis.tls == RedisTLSConfiguration() && settings.redis.secondaryURL == nil)
        #expect(settings.redis.waitReplicas == 0 && settings.redis.waitTimeout == .seconds(1))
        #expect(settings.records.keyring == nil && !settings.records.isSealing)
        #expect(settings.records.compression == .off && settings.records.compressionThreshold == 1024)
        #expect(settings.nearCache.configuration == NearCacheConfiguration())
    }

    @Test("Every setting of the store is read under its name in the environment and reaches the store")
    func names() async throws {
        let settings = try await load([
            "SESSION_STORE": "redis", "REDIS_URL": "redis://cache:6380/2", "REDIS_KEY_PREFIX": "s:",
            "REDIS_MAX_CONNECTIONS": "7", "REDIS_WAIT_REPLICAS": "2", "REDIS_WAIT_TIMEOUT": "500ms",
            "SESSION_COMPRESSION": "gzip", "SESSION_COMPRESSION_THRESHOLD": "2K", "SESSION_NEAR_CACHE_ENTRIES": "10",
            "SESSION_NEAR_CACHE_BYTES": "1M", "SESSION_MAX_PER_USER": "3", "SESSION_IDLE_TIMEOUT": "30m",
        ])
        #expect(settings.effectiveStore == .redis && settings.redisEnabled && settings.redis.isURLGiven)
        let factory = StoreFactory(settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(
            factory.policy
                == SessionPolicy(
                    idleTimeout: .seconds(1800), maximumPerUser: 3, defaultIssuer: settings.oidcIssuer))
        let store = try factory.primary()
        #expect(try store.url == RedisURL("redis://cache:6380/2") && store.keyPrefix == "s:")
        #expect(store.connectionsPerNode == 7 && store.waitReplicas == 2 && store.waitTimeout == .milliseconds(500))
        #expect(store.compressionThreshold == 2048 && store.keyring == nil)
        #expect(store.nearCache?.maximumEntries == 10 && store.nearCache?.maximumBytes == 1 << 20)
        #expect(try factory.secondary() == nil)
    }

    @Test("SESSION_PLAIN=refuse reaches the store, and is an error where nothing is sealed")
    func plainSessions() async throws {
        let keys = SessionKeyring.generateKey()
        let settings = try await load(["SESSION_KEYS": keys, "SESSION_PLAIN": "refuse", "REDIS_ENABLED": "true"])
        let factory = StoreFactory(settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(try factory.primary().acceptsPlain == false)
        #expect(try await failure(["SESSION_PLAIN": "refuse"]).contains("SESSION_PLAIN"))
        #expect(try await failure(["SESSION_PLAIN": "maybe"]).contains("accept or refuse"))
        let unsealed = ["SESSION_KEYS": keys, "SESSION_SEAL": "false", "SESSION_PLAIN": "refuse"]
        #expect(try await failure(unsealed).contains("SESSION_PLAIN"))
    }

    @Test("SESSION_STORE follows REDIS_ENABLED, and may name it instead")
    func kinds() async throws {
        #expect(try await load(["REDIS_ENABLED": "true"]).effectiveStore == .redis)
        #expect(try await load(["REDIS_ENABLED": "false"]).effectiveStore == .memory)
        #expect(try await load(["SESSION_STORE": "memory"]).effectiveStore == .memory)
        #expect(try await load(["SESSION_STORE": "Redis", "REDIS_ENABLED": "true"]).effectiveStore == .redis)
        #expect(try await load(["SESSION_NEAR_CACHE": "off"]).nearCache.configuration == nil)
        #expect(try await load(["SESSION_MAX_PER_USER": "off"]).sessionMaximumPerUser == nil)
    }

    @Test(
        "A wrong value is one line that names the setting and what would be right",
        arguments: [
            (["SESSION_STORE": "postgres"], "SESSION_STORE", "memory, redis or hybrid"),
            (["SESSION_STORE": "memory", "REDIS_ENABLED": "true"], "SESSION_STORE", "REDIS_ENABLED=true"),
            (["SESSION_STORE": "redis", "REDIS_ENABLED": "false"], "SESSION_STORE", "REDIS_ENABLED=false"),
            (["SESSION_STORE": "hybrid"], "REDIS_SECONDARY_URL", "is missing"),
            (["REDIS_SECONDARY_URL": "redis://a"], "REDIS_SECONDARY_URL", "SESSION_STORE=hybrid"),
            (["SESSION_STORE": "hybrid", "REDIS_SECONDARY_URL": "http://a"], "REDIS_SECONDARY_URL", "redis://"),
            (
                ["SESSION_STORE": "hybrid", "REDIS_URL": "redis://a", "REDIS_SECONDARY_URL": "redis://a"],
                "REDIS_SECONDARY_URL", "another Redis"
            ),
            (["REDIS_SECONDARY_KEY_PREFIX": "a:"], "REDIS_SECONDARY_KEY_PREFIX", "REDIS_SECONDARY_URL"),
            (
                ["SESSION_STORE": "hybrid", "REDIS_SECONDARY_URL": "redis://a", "REDIS_SECONDARY_SEAL": "true"],
                "REDIS_SECONDARY_SEAL", "SESSION_KEYS"
            ),
            (["REDIS_MAX_CONNECTIONS": "0"], "REDIS_MAX_CONNECTIONS", "1 to 64"),
            (["REDIS_MAX_CONNECTIONS": "65"], "REDIS_MAX_CONNECTIONS", "1 to 64"),
            (["REDIS_WAIT_REPLICAS": "11"], "REDIS_WAIT_REPLICAS", "0 to 10"),
            (["REDIS_WAIT_TIMEOUT": "0"], "REDIS_WAIT_TIMEOUT", "more than zero"),
            (["REDIS_WAIT_TIMEOUT": "11s"], "REDIS_WAIT_TIMEOUT", "10s"),
            (["REDIS_WAIT_TIMEOUT": "soon"], "REDIS_WAIT_TIMEOUT", "500ms"),
            (["REDIS_TLS_CA_FILE": "/nowhere"], "REDIS_TLS_CA_FILE", "can be read"),
            (["REDIS_TLS_SERVER_NAME": "a b"], "REDIS_TLS_SERVER_NAME", "certificate"),
            (["REDIS_TLS_SERVER_NAME": "a", "REDIS_ENABLED": "1"], "REDIS_TLS_SERVER_NAME", "rediss"),
            (["REDIS_SENTINEL_USER": "u", "REDIS_ENABLED": "1"], "REDIS_SENTINEL_USER", "sentinel"),
            (["SESSION_SEAL": "true"], "SESSION_SEAL", "SESSION_KEYS"),
            (["SESSION_SEAL": "false"], "SESSION_SEAL", "SESSION_KEYS"),
            (["SESSION_KEYS": "nonsense"], "SESSION_KEYS", "cloakroom keys generate"),
            (["SESSION_COMPRESSION": "zip"], "SESSION_COMPRESSION", "off or gzip"),
            (["SESSION_COMPRESSION_THRESHOLD": "2M"], "SESSION_COMPRESSION_THRESHOLD", "1024"),
            (["SESSION_NEAR_CACHE": "maybe"], "SESSION_NEAR_CACHE", "on or off"),
            (["SESSION_NEAR_CACHE_ENTRIES": "0"], "SESSION_NEAR_CACHE_ENTRIES", "100000"),
            (["SESSION_NEAR_CACHE_BYTES": "1K"], "SESSION_NEAR_CACHE_BYTES", "256M"),
            (["SESSION_MAX_PER_USER": "0"], "SESSION_MAX_PER_USER", "1 to 1000"),
            (["SESSION_MAX_PER_USER": "1001"], "SESSION_MAX_PER_USER", "1 to 1000"),
        ])
    func wrongValue(environment: [String: String], setting: String, expected: String) async throws {
        let line = try await failure(environment)
        #expect(line.hasPrefix(setting + " "))
        #expect(line.contains(expected))
        #expect(!line.contains { $0.isNewline })
    }

    @Test("A certificate without its key, and a key without its certificate, are errors")
    func halfACertificate() async throws {
        #expect(try await failure(["REDIS_TLS_CERT_FILE": pemFile]).contains("REDIS_TLS_KEY_FILE"))
        #expect(try await failure(["REDIS_TLS_KEY_FILE": pemFile]).contains("REDIS_TLS_CERT_FILE"))
        let both = ["REDIS_TLS_CERT_FILE": pemFile, "REDIS_TLS_KEY_FILE": pemFile]
        #expect(try await load(both).redis.tls.certificateFile == pemFile)
    }

    @Test("The effective settings name each setting once and hold no secret")
    func effectiveSettings() async throws {
        var settings = try await load([
            "REDIS_URL": "redis://user:hunter2@cache:6380/2", "OIDC_CLIENT_SECRET": "hunter2", "REDIS_ENABLED": "true",
        ])
        settings.redis.sentinelPassword = "hunter2"
        settings.redis.secondaryURL = "redis://:hunter2@old:6379"
        let shown = settings.effectiveSettings
        #expect(Set(shown.map(\.name)).count == shown.count)
        #expect(!"\(shown)".contains("hunter2") && !"\(settings)".contains("hunter2"))
        #expect(!String(reflecting: settings.redis).contains("hunter2"))
        #expect(shown.first { $0.name == "REDIS_URL" }?.value == "redis://user:***@cache:6380/2")
        #expect(
            shown.first { $0.name == "SESSION_TIMEOUT" } == .init(name: "SESSION_TIMEOUT", value: "8h", isDefault: true)
        )
        #expect(shown.first { $0.name == "REDIS_ENABLED" }?.isDefault == false)
    }

    @Test(
        "Sizes are read as people write them",
        arguments: [
            ("1024", 1024), ("64K", 65_536), ("256m", 256 << 20), ("1G", 1 << 30), ("0", 0), ("", nil), ("K", nil),
            ("1.5M", nil), ("-1", nil), ("1T", nil), ("1KB", nil), ("9999999999", nil),
        ] as [(String, Int?)])
    func sizes(text: String, bytes: Int?) {
        #expect(SettingsSize.parse(text) == bytes)
    }

    @Test(
        "Milliseconds are read where they make sense, and times are shown as they are read",
        arguments: [("500ms", 500), ("1s500ms", 1500), ("2s", 2000), ("1h1m", 3_660_000), ("1ms1s", nil), ("ms", nil)]
            as [(String, Int?)])
    func milliseconds(text: String, expected: Int?) {
        let parsed = SettingsDuration.parse(text, finest: .milliseconds)
        #expect(parsed == expected.map { .milliseconds($0) })
        if let parsed { #expect(SettingsDuration.text(parsed) == text) }
        if text.hasSuffix("ms") { #expect(SettingsDuration.parse(text) == nil) }
    }
}
