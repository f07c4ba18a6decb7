import ArgumentParser

/// Where sessions are, and how Redis is reached. Passwords of their own have no flag.
struct RedisOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Keep sessions in Redis (default: false).", valueName: "true|false"))
    var redisEnabled: String?
    @Option(
        help: ArgumentHelp("Where sessions are (default: as REDIS_ENABLED says).", valueName: "memory|redis|hybrid"))
    var sessionStore: String?
    @Option(help: ArgumentHelp("Where Redis is (default: redis://redis:6379/0).", valueName: "url"))
    var redisURL: String?
    @Option(help: ArgumentHelp("What session keys begin with (default: session:).", valueName: "text"))
    var redisKeyPrefix: String?
    @Option(help: ArgumentHelp("Connections to each server, 1 to 64 (default: 2).", valueName: "number"))
    var redisMaxConnections: String?
    @Option(
        name: .customLong("redis-tls-ca-file"),
        help: ArgumentHelp("Certificate authorities to trust, for rediss:// (PEM).", valueName: "path"))
    var redisTLSCAFile: String?
    @Option(help: ArgumentHelp("The certificate to show to Redis (PEM).", valueName: "path"))
    var redisTLSCertFile: String?
    @Option(help: ArgumentHelp("The private key of that certificate (PEM).", valueName: "path"))
    var redisTLSKeyFile: String?
    @Option(help: ArgumentHelp("The name in Redis' certificate, if not the URL's host.", valueName: "name"))
    var redisTLSServerName: String?
    @Option(help: ArgumentHelp("The user at the sentinels.", valueName: "name"))
    var redisSentinelUser: String?
    @Option(help: ArgumentHelp("Replicas that must have a write, 0 to 10 (default: 0).", valueName: "number"))
    var redisWaitReplicas: String?
    @Option(help: ArgumentHelp("How long to wait for them, 10s at most (default: 1s).", valueName: "time"))
    var redisWaitTimeout: String?
    @Option(help: ArgumentHelp("The Redis to move away from, with --session-store hybrid.", valueName: "url"))
    var redisSecondaryURL: String?
    @Option(help: ArgumentHelp("What session keys begin with there (default: the same).", valueName: "text"))
    var redisSecondaryKeyPrefix: String?
    @Option(help: ArgumentHelp("Seal sessions there (default: the same).", valueName: "true|false"))
    var redisSecondarySeal: String?

    /// The settings that were given, under their names in the environment.
    var flags: [String: String?] {
        [
            "REDIS_ENABLED": redisEnabled, "SESSION_STORE": sessionStore, "REDIS_URL": redisURL,
            "REDIS_KEY_PREFIX": redisKeyPrefix, "REDIS_MAX_CONNECTIONS": redisMaxConnections,
            "REDIS_TLS_CA_FILE": redisTLSCAFile, "REDIS_TLS_CERT_FILE": redisTLSCertFile,
            "REDIS_TLS_KEY_FILE": redisTLSKeyFile, "REDIS_TLS_SERVER_NAME": redisTLSServerName,
            "REDIS_SENTINEL_USER": redisSentinelUser, "REDIS_WAIT_REPLICAS": redisWaitReplicas,
            "REDIS_WAIT_TIMEOUT": redisWaitTimeout, "REDIS_SECONDARY_URL": redisSecondaryURL,
            "REDIS_SECONDARY_KEY_PREFIX": redisSecondaryKeyPrefix, "REDIS_SECONDARY_SEAL": redisSecondarySeal,
        ]
    }
}
