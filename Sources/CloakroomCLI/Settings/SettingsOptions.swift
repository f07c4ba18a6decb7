import ArgumentParser

/// The gateway's settings as flags. Each has the name that it has in the environment, in lower case with dashes.
///
/// All are text here: what is right for each is decided in one place, whichever way a setting came.
struct SettingsOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A file of settings to read instead of .env.", valueName: "path"))
    var envFile: String?

    @Option(help: ArgumentHelp("The address to listen on (default: 127.0.0.1).", valueName: "address"))
    var host: String?
    @Option(help: ArgumentHelp("The port to listen on (default: 8020).", valueName: "number"))
    var port: String?
    @Option(help: ArgumentHelp("Where browsers reach the gateway (default: http://localhost:PORT).", valueName: "url"))
    var publicURL: String?
    @Option(help: ArgumentHelp("The API behind /api, for example http://localhost:8000.", valueName: "url"))
    var upstreamURL: String?
    @Option(help: ArgumentHelp("Requests at the upstream at once (default: 512).", valueName: "number"))
    var upstreamMaxConcurrent: String?
    @Option(help: ArgumentHelp("Of them, requests of one session (default: 128).", valueName: "number"))
    var upstreamMaxConcurrentPerSession: String?

    @OptionGroup(title: "Redis options")
    var redis: RedisOptions
    @OptionGroup(title: "Session options")
    var sessions: SessionOptions

    @Option(help: ArgumentHelp("The identity provider, as it names itself.", valueName: "url"))
    var oidcIssuer: String?
    @Option(help: ArgumentHelp("This app's name at the provider.", valueName: "id"))
    var oidcClientID: String?
    @Option(
        help: ArgumentHelp(
            "How to show the client secret (default: basic if there is one).", valueName: "basic|post|none"))
    var oidcClientAuth: String?
    @Option(help: ArgumentHelp("What to ask for (default: \"openid profile email\").", valueName: "scopes"))
    var oidcScopes: String?
    @Option(help: ArgumentHelp("The provider's name on the login button (default: Keycloak).", valueName: "name"))
    var oidcProviderName: String?
    @Option(help: ArgumentHelp("Where to fetch the provider's metadata if not below the issuer.", valueName: "url"))
    var oidcDiscoveryURL: String?
    @Option(help: ArgumentHelp("How long before its end a token is refreshed (default: 30s).", valueName: "time"))
    var refreshMargin: String?
    @Option(
        help: ArgumentHelp(
            "The longest time between two tries while the provider is down (default: 30s).", valueName: "time"))
    var refreshBackoffMax: String?

    @Option(help: ArgumentHelp("The least to log (default: info).", valueName: "level"))
    var logLevel: String?
    @Option(help: ArgumentHelp("How log lines look (default: text).", valueName: "text|json"))
    var logFormat: String?
    @Option(help: ArgumentHelp("A name of this replica, shown on pages and in responses.", valueName: "name"))
    var cloakroomReplicaName: String?

    /// The settings that were given, under their names in the environment.
    var flags: [String: String] {
        let own: [String: String?] = [
            "HOST": host, "PORT": port, "PUBLIC_URL": publicURL, "UPSTREAM_URL": upstreamURL,
            "UPSTREAM_MAX_CONCURRENT": upstreamMaxConcurrent,
            "UPSTREAM_MAX_CONCURRENT_PER_SESSION": upstreamMaxConcurrentPerSession,
            "OIDC_ISSUER": oidcIssuer, "OIDC_CLIENT_ID": oidcClientID, "OIDC_CLIENT_AUTH": oidcClientAuth,
            "OIDC_SCOPES": oidcScopes, "OIDC_PROVIDER_NAME": oidcProviderName,
            "OIDC_DISCOVERY_URL": oidcDiscoveryURL, "REFRESH_MARGIN": refreshMargin,
            "REFRESH_BACKOFF_MAX": refreshBackoffMax, "LOG_LEVEL": logLevel, "LOG_FORMAT": logFormat,
            "CLOAKROOM_REPLICA_NAME": cloakroomReplicaName,
        ]
        return [own, redis.flags, sessions.flags].reduce(into: [:]) { all, part in
            all.merge(part.compactMapValues { $0 }) { $1 }
        }
    }
}
