public import CloakroomOIDC
public import Logging

/// The settings of the gateway.
///
/// Each is declared once, as a ``Setting``, under its name in the environment (in parentheses below). That is its name in a
/// `.env` file too, in lower case that in a configuration file, and with dashes that of its flag.
/// ``load(flags:environment:environmentFile:configurationFile:needsProvider:)`` reads them.
public struct GatewaySettings: Sendable {
    /// How log lines look.
    public enum LogFormat: String, Sendable, CaseIterable {
        /// For people.
        case text
        /// One JSON object a line, for log collectors.
        case json
    }

    /// The address to listen on (`HOST`).
    public var host = "127.0.0.1"
    /// The port to listen on (`PORT`); 0 for any that is free.
    public var port = 8020
    /// Where browsers reach the gateway (`PUBLIC_URL`); `http://localhost:PORT`, or https with TLS on the port, when absent.
    public var publicURL: String?
    /// How browsers reach it over TLS.
    public var tls = ListenerTLSSettings()
    /// The API behind `/api` (`UPSTREAM_URL`); without it, `/api` answers 404.
    public var upstreamURL: String?

    /// Whether sessions are in Redis rather than in memory (`REDIS_ENABLED`).
    public var redisEnabled = false
    /// Where Redis is (`REDIS_URL`). May hold a password.
    public var redisURL = "redis://redis:6379/0"
    /// What the keys of sessions begin with (`REDIS_KEY_PREFIX`).
    public var redisKeyPrefix = "session:"
    /// The other settings of Redis.
    public var redis = RedisSettings()

    /// Where sessions are (`SESSION_STORE`); `nil` for what ``redisEnabled`` says.
    public var sessionStore: StoreKind?
    /// How long a session lives at most (`SESSION_TIMEOUT`).
    public var sessionTimeout: Duration = .seconds(8 * 60 * 60)
    /// How long a session may go unused (`SESSION_IDLE_TIMEOUT`); `nil` for no such limit.
    public var sessionIdleTimeout: Duration?
    /// How many sessions a user may have (`SESSION_MAX_PER_USER`), 1 to 1,000; `nil` for no limit.
    public var sessionMaximumPerUser: Int?
    /// In which form sessions are stored in Redis.
    public var records = RecordSettings()
    /// What is kept of them in memory.
    public var nearCache = NearCacheSettings()

    /// The identity provider (`OIDC_ISSUER`), exactly as it names itself.
    public var oidcIssuer = ""
    /// Our name at the provider (`OIDC_CLIENT_ID`).
    public var oidcClientID = ""
    /// Our secret at the provider (`OIDC_CLIENT_SECRET`); `nil` for a public client.
    public var oidcClientSecret: String?
    /// How we show who we are (`OIDC_CLIENT_AUTH`); `nil` for ``effectiveClientAuth``.
    public var oidcClientAuth: OIDCConfiguration.ClientAuthentication?
    /// What we show in place of a secret.
    public var client = ClientSettings()
    /// What to ask the provider for (`OIDC_SCOPES`).
    public var oidcScopes = ["openid", "profile", "email"]
    /// What the login button calls the provider (`OIDC_PROVIDER_NAME`).
    public var oidcProviderName = "Keycloak"
    /// Where to fetch the provider's metadata if not below the issuer (`OIDC_DISCOVERY_URL`).
    public var oidcDiscoveryURL: String?
    /// Which logout tokens of the provider are accepted (`OIDC_LOGOUT_TOKEN_TYPES`).
    public var oidcLogoutTokenTypes: LogoutTokenTypes = .strict

    /// How many requests may be with the upstream at once.
    public var upstream = UpstreamSettings()
    /// What one connection or request may take.
    public var limits = LimitSettings()
    /// When access tokens are refreshed.
    public var refresh = RefreshSettings()

    /// How operators see what it does.
    public var management = ManagementSettings()

    /// The least that is logged (`LOG_LEVEL`).
    public var logLevel: Logger.Level = .info
    /// How log lines look (`LOG_FORMAT`).
    public var logFormat: LogFormat = .text
    /// A name of this replica for pages and the `X-Cloakroom-Replica` field (`CLOAKROOM_REPLICA_NAME`).
    public var replicaName: String?

    /// Where each setting that was given is from, by its name.
    var origins: [String: Origin] = [:]
    /// What does not stop the program but should be known, a line each.
    public internal(set) var warnings: [String] = []

    /// The defaults; the provider's three settings must still be filled in.
    public init() {}

    /// ``publicURL``, or what stands for it when it is absent.
    public var effectivePublicURL: String {
        publicURL ?? "\(tls.certificateFile == nil ? "http" : "https")://localhost:\(port)"
    }

    /// ``sessionStore``, or what stands for it when it is absent.
    public var effectiveStore: StoreKind { sessionStore ?? (redisEnabled ? .redis : .memory) }
}

extension GatewaySettings: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Where the gateway listens; no setting that might be secret.
    public var description: String { "GatewaySettings(host: \(host), port: \(port))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["host": host, "port": port]) }
}
