import Cloakroom
import CloakroomRedis

extension Setting {
    private static let redisURLForm = SettingForm<String>(
        "url", "a URL such as redis://redis:6379/0", text: { $0 }
    ) { (text) throws(Unfit) in
        do throws(RedisURLError) {
            _ = try RedisURL(text)
            return text
        } catch {
            throw Unfit(because: error.description)
        }
    }

    /// As logs show it; where it can't be read, with whatever might be a password replaced.
    private static func shownURL(_ text: String) -> String {
        (try? RedisURL(text))?.description ?? SettingsError.redactedURL(text)
    }

    private static func redacted(_ form: SettingForm<String>) -> SettingForm<String> {
        var form = form
        form.shown = { SettingsError.redactedURL($0) }
        return form
    }

    static let redis = [
        Setting(
            "REDIS_ENABLED", .redis, \.redisEnabled, .truth, "keep sessions in Redis rather than in memory"),
        Setting(
            "REDIS_URL", .redis, \.redisURL, redacted(redisURLForm), "where Redis is", mayHoldSecret: true,
            shown: { shownURL($0.redisURL) }, also: { $0.redis.isURLGiven = true }),
        Setting(
            "REDIS_KEY_PREFIX", .redis, \.redisKeyPrefix, .visible("text", 1...128, example: "session:"),
            "the prefix of sessions' keys"),
        Setting(
            "REDIS_MAX_CONNECTIONS", .redis, \.redis.maximumConnections, .number(1...64, example: 2),
            "connections to each server; they are shared, so two do for most"),
        Setting(
            "REDIS_TLS_CA_FILE", .redis, \.redis.tls.caFile, SettingForm<String>.pemFile.orAbsent,
            "certificate authorities to trust, for rediss:// (PEM)", default: "the system's"),
        Setting(
            "REDIS_TLS_CERT_FILE", .redis, \.redis.tls.certificateFile, SettingForm<String>.pemFile.orAbsent,
            "the client certificate for Redis (PEM)"),
        Setting(
            "REDIS_TLS_KEY_FILE", .redis, \.redis.tls.privateKeyFile, SettingForm<String>.pemFile.orAbsent,
            "the private key of that certificate (PEM)"),
        Setting(
            "REDIS_TLS_SERVER_NAME", .redis, \.redis.tls.serverName,
            SettingForm<String>.text(
                "name", "the name in the server's certificate, for example redis.example.com",
                isValid: { $0.isVisibleASCII(1...255) }
            ).orAbsent,
            "the host name in Redis' certificate", default: "the URL's host"),
        Setting(
            "REDIS_SENTINEL_USER", .redis, \.redis.sentinelUser, SettingForm<String>.visible("name", 1...256).orAbsent,
            "the user at the sentinels, where they ask for one"),
        Setting(
            "REDIS_SENTINEL_PASSWORD", .redis, \.redis.sentinelPassword,
            SettingForm<String>.text("password", "4096 bytes at most", isValid: { $0.utf8.count <= 4096 }).orAbsent,
            "the password at the sentinels", isSecret: true),
        Setting(
            "REDIS_WAIT_REPLICAS", .redis, \.redis.waitReplicas, .number(0...10, example: 1),
            "replicas that must have a write before it counts"),
        Setting(
            "REDIS_WAIT_TIMEOUT", .redis, \.redis.waitTimeout,
            .time(
                .milliseconds(1) ... .seconds(10), example: "1s",
                description: "a time of more than zero and at most 10s, for example 500ms or 1s",
                finest: .milliseconds), "how long to wait for them"),
        Setting(
            "REDIS_SECONDARY_URL", .redis, \.redis.secondaryURL, redacted(redisURLForm).orAbsent,
            "the Redis to move away from: to another one with SESSION_STORE=hybrid, back to memory with memory",
            mayHoldSecret: true,
            shown: { $0.redis.secondaryURL.map(shownURL) }),
        Setting(
            "REDIS_SECONDARY_KEY_PREFIX", .redis, \.redis.secondaryKeyPrefix,
            SettingForm<String>.visible("text", 1...128, example: "session:").orAbsent,
            "the prefix of sessions' keys there", default: "the same"),
        Setting(
            "REDIS_SECONDARY_SEAL", .redis, \.redis.secondarySeals, SettingForm<Bool>.truth.orAbsent,
            "whether sessions are sealed there", default: "the same"),
    ]

    private static let lifetimes = Duration.seconds(1)...Duration.seconds(366 * 86_400)

    static let sessions = [
        Setting(
            "SESSION_STORE", .sessions, \.sessionStore, SettingForm<StoreKind>.choice.orAbsent,
            "where sessions are; hybrid to move from one Redis to another", default: "as REDIS_ENABLED says",
            shown: { $0.effectiveStore.rawValue }),
        Setting(
            "SESSION_TIMEOUT", .sessions, \.sessionTimeout, .time(lifetimes, example: "8h or 1h30m"),
            "how long a session lives at most; nothing extends it"),
        Setting(
            "SESSION_IDLE_TIMEOUT", .sessions, \.sessionIdleTimeout,
            SettingForm<Duration>.time(lifetimes, example: "30m").orOff, "how long a session may go unused"),
        Setting(
            "SESSION_MAX_PER_USER", .sessions, \.sessionMaximumPerUser,
            SettingForm<Int>.number(1...1000, example: 5).orOff,
            "sessions a user may have at once; a further login ends the oldest"),
        Setting(
            "SESSION_KEYS", .sessions, \.records.keyring,
            SettingForm<SessionKeyring>(
                "keys", "keys as \"cloakroom keys generate\" makes them, separated by commas", text: { _ in nil }
            ) { (text) throws(Unfit) in
                do throws(SessionKeyringError) {
                    return try SessionKeyring(text)
                } catch {
                    throw Unfit(because: error.description)
                }
            }.orAbsent, "keys that seal sessions in Redis", isSecret: true, listSeparator: ",",
            shown: { $0.records.keyring.map { "*** (keys \($0.keyIDs.joined(separator: ", ")))" } }),
        Setting(
            "SESSION_SEAL", .sessions, \.records.seals, .truth,
            "with SESSION_KEYS: seal, or open only, for the first half of a rolling deploy", default: "true with keys",
            shown: { "\($0.records.isSealing)" }),
        Setting(
            "SESSION_PLAIN", .sessions, \.records.acceptsPlain, .either("accept", "refuse"),
            "with sealed sessions: read plain ones too, or refuse them once all are sealed"),
        Setting("SESSION_COMPRESSION", .sessions, \.records.compression, .choice, "how sessions are compressed"),
        Setting(
            "SESSION_COMPRESSION_THRESHOLD", .sessions, \.records.compressionThreshold,
            .size(0...1 << 20, example: "1024"), "the size from which sessions are compressed"),
        Setting(
            "SESSION_NEAR_CACHE", .sessions, \.nearCache.isOn, .either("on", "off"),
            "near cache: keep sessions that were read from Redis in memory too"),
        Setting(
            "SESSION_NEAR_CACHE_ENTRIES", .sessions, \.nearCache.maximumEntries,
            .number(1...10_000_000, example: 100_000), "how many sessions the near cache holds at most"),
        Setting(
            "SESSION_NEAR_CACHE_BYTES", .sessions, \.nearCache.maximumBytes,
            .size(64 << 10...64 << 30, example: "256M"), "how many bytes of sessions the near cache holds at most"),
    ]
}
