import ArgumentParser

/// How long sessions live and in which form they are kept. The keys, being secrets, have no flag.
struct SessionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How long a session lives at most (default: 8h).", valueName: "time"))
    var sessionTimeout: String?
    @Option(help: ArgumentHelp("How long a session may go unused (default: off).", valueName: "time|off"))
    var sessionIdleTimeout: String?
    @Option(
        help: ArgumentHelp(
            "Sessions that a user may have, 1 to 1000; the oldest goes (default: off).", valueName: "number|off"))
    var sessionMaxPerUser: String?
    @Option(
        help: ArgumentHelp("With SESSION_KEYS: seal, or open only (default: true).", valueName: "true|false"))
    var sessionSeal: String?
    @Option(
        help: ArgumentHelp(
            "With sealed sessions: read plain ones too, or refuse them (default: accept).",
            valueName: "accept|refuse"))
    var sessionPlain: String?
    @Option(help: ArgumentHelp("Compress sessions in Redis (default: off).", valueName: "off|gzip"))
    var sessionCompression: String?
    @Option(help: ArgumentHelp("From which size on (default: 1024).", valueName: "bytes"))
    var sessionCompressionThreshold: String?
    @Option(help: ArgumentHelp("Keep sessions of Redis in memory too (default: on).", valueName: "on|off"))
    var sessionNearCache: String?
    @Option(help: ArgumentHelp("How many sessions at most (default: 100000).", valueName: "number"))
    var sessionNearCacheEntries: String?
    @Option(help: ArgumentHelp("How many bytes at most (default: 256M).", valueName: "bytes"))
    var sessionNearCacheBytes: String?

    /// The settings that were given, under their names in the environment.
    var flags: [String: String?] {
        [
            "SESSION_TIMEOUT": sessionTimeout, "SESSION_IDLE_TIMEOUT": sessionIdleTimeout,
            "SESSION_MAX_PER_USER": sessionMaxPerUser, "SESSION_SEAL": sessionSeal,
            "SESSION_PLAIN": sessionPlain,
            "SESSION_COMPRESSION": sessionCompression,
            "SESSION_COMPRESSION_THRESHOLD": sessionCompressionThreshold, "SESSION_NEAR_CACHE": sessionNearCache,
            "SESSION_NEAR_CACHE_ENTRIES": sessionNearCacheEntries, "SESSION_NEAR_CACHE_BYTES": sessionNearCacheBytes,
        ]
    }
}
