import Cloakroom
import CloakroomOIDC
import CloakroomRedis
import Logging

/// One setting as it counts, for people: what `cloakroom check` prints.
public struct EffectiveSetting: Sendable, Equatable {
    /// The name in the environment.
    public let name: String
    /// The value; a secret is replaced. `nil` when it is absent.
    public let value: String?
    /// Whether it is what stands for a setting that is not given.
    public let isDefault: Bool
}

extension GatewaySettings {
    /// All settings as they count, secrets replaced.
    public var effectiveSettings: [EffectiveSetting] {
        let defaults = GatewaySettings().shown
        return zip(shown, defaults).map { own, other in
            EffectiveSetting(name: own.0, value: own.1, isDefault: own.1 == other.1)
        }
    }

    /// Always the same names in the same order.
    private var shown: [(String, String?)] {
        general + storeSettings + provider
    }

    private var general: [(String, String?)] {
        [
            ("HOST", host), ("PORT", "\(port)"), ("PUBLIC_URL", publicURL ?? effectivePublicURL),
            ("UPSTREAM_URL", upstreamURL),
            ("UPSTREAM_MAX_CONCURRENT", "\(upstream.maximumConcurrent)"),
            ("UPSTREAM_MAX_CONCURRENT_PER_SESSION", "\(upstream.maximumConcurrentPerSession)"),
            ("LOG_LEVEL", logLevel.rawValue), ("LOG_FORMAT", logFormat.rawValue),
            ("CLOAKROOM_REPLICA_NAME", replicaName),
        ]
    }

    private var storeSettings: [(String, String?)] {
        [
            ("SESSION_STORE", effectiveStore.rawValue),
            ("REDIS_ENABLED", "\(redisEnabled)"),
            ("REDIS_URL", Self.shownURL(redisURL)),
            ("REDIS_KEY_PREFIX", redisKeyPrefix),
            ("REDIS_MAX_CONNECTIONS", "\(redis.maximumConnections)"),
            ("REDIS_TLS_CA_FILE", redis.tls.caFile),
            ("REDIS_TLS_CERT_FILE", redis.tls.certificateFile),
            ("REDIS_TLS_KEY_FILE", redis.tls.privateKeyFile),
            ("REDIS_TLS_SERVER_NAME", redis.tls.serverName),
            ("REDIS_SENTINEL_USER", redis.sentinelUser),
            ("REDIS_SENTINEL_PASSWORD", redis.sentinelPassword.map { _ in Self.hidden }),
            ("REDIS_WAIT_REPLICAS", "\(redis.waitReplicas)"),
            ("REDIS_WAIT_TIMEOUT", SettingsDuration.text(redis.waitTimeout)),
            ("REDIS_SECONDARY_URL", redis.secondaryURL.map(Self.shownURL)),
            ("REDIS_SECONDARY_KEY_PREFIX", redis.secondaryKeyPrefix),
            ("REDIS_SECONDARY_SEAL", redis.secondarySeals.map { "\($0)" }),
            ("SESSION_TIMEOUT", SettingsDuration.text(sessionTimeout)),
            ("SESSION_IDLE_TIMEOUT", sessionIdleTimeout.map(SettingsDuration.text) ?? "off"),
            ("SESSION_MAX_PER_USER", sessionMaximumPerUser.map { "\($0)" } ?? "off"),
            ("SESSION_KEYS", records.keyring.map { "*** (keys \($0.keyIDs.joined(separator: ", ")))" }),
            ("SESSION_SEAL", "\(records.isSealing)"),
            ("SESSION_PLAIN", records.acceptsPlain ? "accept" : "refuse"),
            ("SESSION_COMPRESSION", records.compression.rawValue),
            ("SESSION_COMPRESSION_THRESHOLD", SettingsSize.text(records.compressionThreshold)),
            ("SESSION_NEAR_CACHE", nearCache.isOn ? "on" : "off"),
            ("SESSION_NEAR_CACHE_ENTRIES", "\(nearCache.maximumEntries)"),
            ("SESSION_NEAR_CACHE_BYTES", SettingsSize.text(nearCache.maximumBytes)),
        ]
    }

    private var provider: [(String, String?)] {
        [
            ("OIDC_ISSUER", oidcIssuer.isEmpty ? nil : oidcIssuer),
            ("OIDC_CLIENT_ID", oidcClientID.isEmpty ? nil : oidcClientID),
            ("OIDC_CLIENT_SECRET", oidcClientSecret.map { _ in Self.hidden }),
            ("OIDC_CLIENT_AUTH", (oidcClientAuth ?? (oidcClientSecret == nil ? .none : .basic)).rawValue),
            ("OIDC_SCOPES", oidcScopes.joined(separator: " ")),
            ("OIDC_PROVIDER_NAME", oidcProviderName),
            ("OIDC_DISCOVERY_URL", oidcDiscoveryURL),
            ("REFRESH_MARGIN", SettingsDuration.text(refresh.margin)),
            ("REFRESH_BACKOFF_MAX", SettingsDuration.text(refresh.longestBackoff)),
        ]
    }

    private static let hidden = "***"

    /// As logs show it; where it can't be read, with whatever might be a password replaced.
    private static func shownURL(_ text: String) -> String {
        (try? RedisURL(text))?.description ?? SettingsError.redactedURL(text)
    }
}
