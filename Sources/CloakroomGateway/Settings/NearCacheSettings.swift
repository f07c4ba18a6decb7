import CloakroomRedis
import Configuration

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

    private static let entriesForm = "a number from 1 to 10000000, for example 100000"
    private static let bytesForm = "a size from 64K to 64G, for example 256M"

    init(reading reader: ConfigReader) throws(SettingsError) {
        self.init()
        isOn = try reader.truth("session.near.cache", "SESSION_NEAR_CACHE", form: "on or off") ?? isOn
        maximumEntries =
            try reader.value(
                "session.near.cache.entries", "SESSION_NEAR_CACHE_ENTRIES", Self.entriesForm, Int.init)
            ?? maximumEntries
        maximumBytes =
            try reader.value(
                "session.near.cache.bytes", "SESSION_NEAR_CACHE_BYTES", Self.bytesForm, SettingsSize.parse)
            ?? maximumBytes
    }

    func validate() throws(SettingsError) {
        guard (1...10_000_000).contains(maximumEntries) else {
            throw .wrong("SESSION_NEAR_CACHE_ENTRIES", value: "\(maximumEntries)", expected: Self.entriesForm)
        }
        guard (64 << 10...64 << 30).contains(maximumBytes) else {
            throw .wrong("SESSION_NEAR_CACHE_BYTES", value: "\(maximumBytes)", expected: Self.bytesForm)
        }
    }

    /// For the store; `nil` when it is off.
    var configuration: NearCacheConfiguration? {
        guard isOn else { return nil }
        var configuration = NearCacheConfiguration()
        configuration.maximumEntries = maximumEntries
        configuration.maximumBytes = maximumBytes
        return configuration
    }
}
