import CloakroomOIDC
public import Configuration
import Foundation
import Logging
import SystemPackage

extension GatewaySettings {
    /// Reads the settings: the environment, then the `.env` file, then the flags; the last that names a setting wins. A
    /// setting that is empty counts as absent.
    ///
    /// - Parameters:
    ///   - flags: the command line's settings, under their names in the environment.
    ///   - environment: what to read instead of the process's environment.
    ///   - environmentFile: the file to read; `nil` for `.env` in the working directory, if there is one.
    /// - Throws: the first setting that is wrong.
    public static func load(
        flags: [String: String] = [:],
        environment: [String: String]? = nil,
        environmentFile: String? = nil
    ) async throws(SettingsError) -> GatewaySettings {
        // The library's own provider of command-line arguments splits values at commas and drops those it then can't read;
        // the flags are parsed already, so they come as plain values, under the keys that the environment would have.
        let providers: [any ConfigProvider] = [
            provider(flags), try await fileProvider(environmentFile),
            provider(environment ?? ProcessInfo.processInfo.environment),
        ]
        let settings = try GatewaySettings(reading: ConfigReader(providers: providers))
        try settings.validate()
        return settings
    }

    private static let secrets: SecretsSpecifier<String, String> = .specific([
        "REDIS_URL", "REDIS_SECONDARY_URL", "REDIS_SENTINEL_PASSWORD", "SESSION_KEYS", "OIDC_CLIENT_SECRET",
    ])

    private static func provider(_ values: [String: String]) -> EnvironmentVariablesProvider {
        EnvironmentVariablesProvider(
            environmentVariables: values.filter { !$0.value.isEmpty }, secretsSpecifier: secrets)
    }

    private static func fileProvider(_ path: String?) async throws(SettingsError) -> EnvironmentVariablesProvider {
        do {
            return try await EnvironmentVariablesProvider(
                environmentFilePath: FilePath(path ?? ".env"), allowMissing: path == nil, secretsSpecifier: secrets)
        } catch {
            throw .wrong(
                "--env-file", value: path ?? ".env", expected: "a file that can be read, with lines NAME=value")
        }
    }

    /// Reads the settings from any source.
    ///
    /// - Throws: the first value that can't be read. Whether the values make sense together says ``validate()``.
    public init(reading reader: ConfigReader) throws(SettingsError) {
        self.init()
        host = reader.text("host") ?? host
        port = try reader.value("port", "PORT", "a number from 1 to 65535, for example 8020", Int.init) ?? port
        publicURL = reader.text("public.url")
        upstreamURL = reader.text("upstream.url")
        try readStore(reader)
        redisURL = reader.text("redis.url", isSecret: true) ?? redisURL
        redisKeyPrefix = reader.text("redis.key.prefix") ?? redisKeyPrefix
        sessionTimeout =
            try reader.value(
                "session.timeout", "SESSION_TIMEOUT", "a time from 1s to 366d, for example 8h or 1h30m",
                SettingsDuration.parse) ?? sessionTimeout
        sessionIdleTimeout =
            try reader.value(
                "session.idle.timeout", "SESSION_IDLE_TIMEOUT", "off, or a time from 1s to 366d, for example 30m",
                { Self.unlessOff($0, SettingsDuration.parse) }) ?? nil
        sessionMaximumPerUser =
            try reader.value("session.max.per.user", "SESSION_MAX_PER_USER", Self.maximumPerUserForm) {
                Self.unlessOff($0, Int.init)
            } ?? nil
        redis = try RedisSettings(reading: reader)
        records = try RecordSettings(reading: reader)
        nearCache = try NearCacheSettings(reading: reader)
        oidcIssuer = reader.text("oidc.issuer") ?? ""
        oidcClientID = reader.text("oidc.client.id") ?? ""
        oidcClientSecret = reader.text("oidc.client.secret", isSecret: true)
        oidcClientAuth = try reader.value(
            "oidc.client.auth", "OIDC_CLIENT_AUTH", "basic, post or none",
            OIDCConfiguration.ClientAuthentication.init(rawValue:))
        if let scopes = reader.text("oidc.scopes") {
            oidcScopes = scopes.split { $0 == " " || $0 == "," }.map(String.init)
        }
        oidcProviderName = reader.text("oidc.provider.name") ?? oidcProviderName
        oidcDiscoveryURL = reader.text("oidc.discovery.url")
        refresh = try RefreshSettings(reading: reader)
        upstream = try UpstreamSettings(reading: reader)
        logLevel =
            try reader.value(
                "log.level", "LOG_LEVEL", "one of " + Logger.Level.allCases.map(\.rawValue).joined(separator: ", "),
                { Logger.Level(rawValue: $0.lowercased()) }) ?? logLevel
        logFormat =
            try reader.value("log.format", "LOG_FORMAT", "text or json", { LogFormat(rawValue: $0.lowercased()) })
            ?? logFormat
        replicaName = reader.text("cloakroom.replica.name")
    }

    /// `REDIS_ENABLED` and `SESSION_STORE`, which must not contradict each other.
    private mutating func readStore(_ reader: ConfigReader) throws(SettingsError) {
        let isEnabled = try reader.truth("redis.enabled", "REDIS_ENABLED")
        sessionStore = try reader.value("session.store", "SESSION_STORE", "memory, redis or hybrid") {
            StoreKind(rawValue: $0.lowercased())
        }
        redisEnabled = isEnabled ?? (sessionStore.map { $0 != .memory } ?? false)
        if let sessionStore, redisEnabled != (sessionStore != .memory) { throw Self.contradiction(sessionStore) }
    }

    static func contradiction(_ store: StoreKind) -> SettingsError {
        .wrong(
            "SESSION_STORE", value: store.rawValue,
            expected: store == .memory
                ? "redis or hybrid with REDIS_ENABLED=true" : "memory with REDIS_ENABLED=false, or leave that out")
    }

    static let maximumPerUserForm = "off, or a number from 1 to 1000, for example 5"

    /// - Returns: `nil` for what can't be read, `.some(nil)` for "no limit".
    private static func unlessOff<Value>(_ text: String, _ parse: (String) -> Value?) -> Value?? {
        if text.lowercased() == "off" { return .some(nil) }
        return parse(text).map { .some($0) }
    }
}
