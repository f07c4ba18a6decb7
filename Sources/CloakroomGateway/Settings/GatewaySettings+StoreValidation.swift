import CloakroomRedis

extension GatewaySettings {
    /// Checks the settings of the store together.
    func validateStore() throws(SettingsError) {
        let url = try Self.redisURL(redisURL, setting: "REDIS_URL")
        try records.validate()
        // A contradiction that was not read but made.
        if sessionStore == .memory && redisEnabled { throw Self.contradiction(.memory) }
        let secondary = try validateSecondary(primary: url)
        let isInUse = effectiveStore != .memory || redis.isURLGiven
        try redis.validate(urls: (isInUse ? [url] : []) + (secondary.map { [$0] } ?? []))
    }

    /// - Returns: the second Redis, if the store has one.
    private func validateSecondary(primary: RedisURL) throws(SettingsError) -> RedisURL? {
        guard let text = redis.secondaryURL else {
            if effectiveStore == .hybrid {
                throw .missing(
                    "REDIS_SECONDARY_URL", expected: "the Redis to move away from, as SESSION_STORE is hybrid")
            }
            let companions = [
                ("REDIS_SECONDARY_KEY_PREFIX", redis.secondaryKeyPrefix),
                ("REDIS_SECONDARY_SEAL", redis.secondarySeals.map { "\($0)" }),
            ]
            for case (let name, let value?) in companions {
                throw .wrong(name, value: value, expected: "given with REDIS_SECONDARY_URL")
            }
            return nil
        }
        let url = try Self.redisURL(text, setting: "REDIS_SECONDARY_URL")
        // Whoever gives it believes that it is used.
        guard effectiveStore == .hybrid || sessionStore == .memory else {
            throw .wrong(
                "REDIS_SECONDARY_URL", value: SettingsError.redactedURL(text),
                expected: "absent, or given with SESSION_STORE=hybrid, or with SESSION_STORE=memory to go back to that")
        }
        // Where sessions move from Redis to memory, REDIS_URL is where they go when this process ends.
        guard
            effectiveStore == .memory || url != primary
                || (redis.secondaryKeyPrefix ?? redisKeyPrefix) != redisKeyPrefix
        else {
            throw .wrong(
                "REDIS_SECONDARY_URL", value: SettingsError.redactedURL(text),
                expected: "another Redis than REDIS_URL, or another key prefix there")
        }
        guard redis.secondarySeals != true || records.keyring != nil else {
            throw .wrong("REDIS_SECONDARY_SEAL", value: "true", expected: "absent, or given with SESSION_KEYS")
        }
        return url
    }

    private static func redisURL(_ text: String, setting: String) throws(SettingsError) -> RedisURL {
        do throws(RedisURLError) {
            return try RedisURL(text)
        } catch {
            throw .wrong(
                setting, value: SettingsError.redactedURL(text), because: error.description,
                expected: "a URL such as redis://redis:6379/0")
        }
    }
}
