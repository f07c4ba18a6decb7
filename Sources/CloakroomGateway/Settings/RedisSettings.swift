public import CloakroomRedis
import Configuration
import Foundation

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

    init(reading reader: ConfigReader) throws(SettingsError) {
        self.init()
        isURLGiven = reader.text("redis.url", isSecret: true) != nil
        maximumConnections =
            try reader.value("redis.max.connections", "REDIS_MAX_CONNECTIONS", Self.connectionsForm, Int.init)
            ?? maximumConnections
        tls.caFile = reader.text("redis.tls.ca.file")
        tls.certificateFile = reader.text("redis.tls.cert.file")
        tls.privateKeyFile = reader.text("redis.tls.key.file")
        tls.serverName = reader.text("redis.tls.server.name")
        sentinelUser = reader.text("redis.sentinel.user")
        sentinelPassword = reader.text("redis.sentinel.password", isSecret: true)
        waitReplicas =
            try reader.value("redis.wait.replicas", "REDIS_WAIT_REPLICAS", Self.replicasForm, Int.init) ?? waitReplicas
        waitTimeout =
            try reader.value("redis.wait.timeout", "REDIS_WAIT_TIMEOUT", Self.timeoutForm) {
                SettingsDuration.parse($0, finest: .milliseconds)
            } ?? waitTimeout
        secondaryURL = reader.text("redis.secondary.url", isSecret: true)
        secondaryKeyPrefix = reader.text("redis.secondary.key.prefix")
        secondarySeals = try reader.truth("redis.secondary.seal", "REDIS_SECONDARY_SEAL")
    }

    private static let connectionsForm = "a number from 1 to 64, for example 2"
    private static let replicasForm = "a number from 0 to 10, for example 1"
    private static let timeoutForm = "a time of more than zero and at most 10s, for example 500ms or 1s"

    /// Checks what the types alone don't.
    ///
    /// - Parameter urls: the URLs that are in use; none when sessions are in memory alone.
    func validate(urls: [RedisURL]) throws(SettingsError) {
        guard (1...64).contains(maximumConnections) else {
            throw .wrong("REDIS_MAX_CONNECTIONS", value: "\(maximumConnections)", expected: Self.connectionsForm)
        }
        guard (0...10).contains(waitReplicas) else {
            throw .wrong("REDIS_WAIT_REPLICAS", value: "\(waitReplicas)", expected: Self.replicasForm)
        }
        guard waitTimeout > .zero, waitTimeout <= .seconds(10) else {
            throw .wrong(
                "REDIS_WAIT_TIMEOUT", value: SettingsDuration.text(waitTimeout), expected: Self.timeoutForm)
        }
        try validateTLS(urls: urls)
        if let sentinelUser, !sentinelUser.isVisibleASCII(1...256) {
            throw .wrong("REDIS_SENTINEL_USER", value: sentinelUser, expected: "1 to 256 visible ASCII characters")
        }
        if let sentinelPassword, sentinelPassword.utf8.count > 4096 {
            throw .wrong("REDIS_SENTINEL_PASSWORD", value: nil, expected: "4096 bytes at most")
        }
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
        for case (let name, let path?) in files {
            guard let text = FileManager.default.contents(atPath: path), text.range(of: Data("-----BEGIN".utf8)) != nil
            else { throw .wrong(name, value: path, expected: "a PEM file that can be read") }
        }
        if let certificate = tls.certificateFile, tls.privateKeyFile == nil {
            throw .wrong("REDIS_TLS_CERT_FILE", value: certificate, expected: "given with REDIS_TLS_KEY_FILE")
        }
        if let key = tls.privateKeyFile, tls.certificateFile == nil {
            throw .wrong("REDIS_TLS_KEY_FILE", value: key, expected: "given with REDIS_TLS_CERT_FILE")
        }
        if let serverName = tls.serverName, !serverName.isVisibleASCII(1...255) {
            throw .wrong(
                "REDIS_TLS_SERVER_NAME", value: serverName,
                expected: "the name in the server's certificate, for example redis.example.com")
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
