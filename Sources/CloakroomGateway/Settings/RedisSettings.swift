public import CloakroomRedis

/// How to reach Redis, beyond `REDIS_URL`, and what counts as written there.
public struct RedisSettings: Sendable, Equatable {
    /// Whether `REDIS_URL` was given. Sessions in memory are then moved there when the gateway stops.
    public var isURLGiven = false
    /// How many connections to keep to each server (`REDIS_MAX_CONNECTIONS`), 1 to 64.
    public var maximumConnections = 2
    /// How connections are encrypted (`REDIS_TLS_CA_FILE`, `REDIS_TLS_CERT_FILE`, `REDIS_TLS_KEY_FILE`,
    /// `REDIS_TLS_SERVER_NAME`); for ``secondaryURL`` too.
    public var tls = RedisTLSConfiguration()
    /// The user at the sentinels (`REDIS_SENTINEL_USER`).
    public var sentinelUser: String?
    /// The password at the sentinels (`REDIS_SENTINEL_PASSWORD`).
    public var sentinelPassword: String?
    /// How many replicas must have a write before it counts (`REDIS_WAIT_REPLICAS`), 0 to 10.
    public var waitReplicas = 0
    /// How long to wait for them (`REDIS_WAIT_TIMEOUT`), 10 seconds at most.
    public var waitTimeout: Duration = .seconds(1)
    /// The second Redis of a hybrid store (`REDIS_SECONDARY_URL`). May hold a password.
    public var secondaryURL: String?
    /// What the keys of sessions begin with there (`REDIS_SECONDARY_KEY_PREFIX`); `nil` for the same as in the first.
    public var secondaryKeyPrefix: String?
    /// Whether sessions are sealed there (`REDIS_SECONDARY_SEAL`); `nil` for the same as in the first.
    public var secondarySeals: Bool?

    /// The defaults.
    public init() {}

    /// Checks what single settings don't say.
    ///
    /// - Parameter urls: the URLs that are in use; none when sessions are in memory alone.
    func validate(urls: [RedisURL]) throws(SettingsError) {
        try validateTLS(urls: urls)
        guard sentinelUser == nil && sentinelPassword == nil || urls.isEmpty || urls.contains(where: \.usesSentinel)
        else {
            let name = sentinelUser == nil ? "REDIS_SENTINEL_PASSWORD" : "REDIS_SENTINEL_USER"
            throw .wrong(
                name, value: sentinelUser,
                expected: "absent, unless REDIS_URL names sentinels (redis+sentinel://HOST,HOST/NAME)")
        }
    }

    private func validateTLS(urls: [RedisURL]) throws(SettingsError) {
        let files = [
            ("REDIS_TLS_CA_FILE", tls.caFile), ("REDIS_TLS_CERT_FILE", tls.certificateFile),
            ("REDIS_TLS_KEY_FILE", tls.privateKeyFile),
        ]
        if let certificate = tls.certificateFile, tls.privateKeyFile == nil {
            throw .wrong("REDIS_TLS_CERT_FILE", value: certificate, expected: "given with REDIS_TLS_KEY_FILE")
        }
        if let key = tls.privateKeyFile, tls.certificateFile == nil {
            throw .wrong("REDIS_TLS_KEY_FILE", value: key, expected: "given with REDIS_TLS_CERT_FILE")
        }
        let all = files + [("REDIS_TLS_SERVER_NAME", tls.serverName)]
        // Whoever gives them believes that the connection is encrypted.
        guard !urls.isEmpty, !urls.contains(where: \.isTLS) else { return }
        for case (let name, let value?) in all {
            throw .wrong(name, value: value, expected: "absent, unless REDIS_URL begins with rediss")
        }
    }
}

extension RedisSettings: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// How many connections and replicas; no setting that might be secret.
    public var description: String {
        "RedisSettings(maximumConnections: \(maximumConnections), waitReplicas: \(waitReplicas))"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror {
        Mirror(self, children: ["maximumConnections": maximumConnections, "waitReplicas": waitReplicas])
    }
}
