import CloakroomOIDC
import Configuration

/// When access tokens are refreshed, and how long a provider that is down is left alone.
public struct RefreshSettings: Sendable, Equatable {
    /// How long before its end a token is refreshed (`REFRESH_MARGIN`), 1 second to 1 hour.
    public var margin = TokenRefresherConfiguration().margin
    /// The longest time between two tries (`REFRESH_BACKOFF_MAX`), 1 second to 1 hour.
    public var longestBackoff = TokenRefresherConfiguration().longestBackoff

    /// The defaults.
    public init() {}

    private static let form = "a time from 1s to 1h, for example 30s"

    init(reading reader: ConfigReader) throws(SettingsError) {
        self.init()
        margin =
            try reader.value("refresh.margin", "REFRESH_MARGIN", Self.form, SettingsDuration.parse) ?? margin
        longestBackoff =
            try reader.value("refresh.backoff.max", "REFRESH_BACKOFF_MAX", Self.form, SettingsDuration.parse)
            ?? longestBackoff
    }

    func validate() throws(SettingsError) {
        for (name, value) in [("REFRESH_MARGIN", margin), ("REFRESH_BACKOFF_MAX", longestBackoff)] {
            guard (.seconds(1) ... .seconds(3600)).contains(value) else {
                throw .wrong(name, value: SettingsDuration.text(value), expected: Self.form)
            }
        }
    }

    /// For the refresher.
    var configuration: TokenRefresherConfiguration {
        var configuration = TokenRefresherConfiguration()
        configuration.margin = margin
        configuration.longestBackoff = longestBackoff
        return configuration
    }
}
