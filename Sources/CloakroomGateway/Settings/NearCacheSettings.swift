import CloakroomRedis

/// What is kept of the sessions in Redis in this process's memory.
public struct NearCacheSettings: Sendable, Equatable {
    /// Whether anything is (`SESSION_NEAR_CACHE`).
    public var isOn = true
    /// How many sessions at most (`SESSION_NEAR_CACHE_ENTRIES`).
    public var maximumEntries = NearCacheConfiguration().maximumEntries
    /// How many bytes at most (`SESSION_NEAR_CACHE_BYTES`).
    public var maximumBytes = NearCacheConfiguration().maximumBytes

    /// The defaults.
    public init() {}

    /// For the store; `nil` when it is off.
    var configuration: NearCacheConfiguration? {
        guard isOn else { return nil }
        var configuration = NearCacheConfiguration()
        configuration.maximumEntries = maximumEntries
        configuration.maximumBytes = maximumBytes
        return configuration
    }
}
