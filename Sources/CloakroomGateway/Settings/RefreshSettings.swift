import CloakroomOIDC

/// When access tokens are refreshed, and how long a provider that is down is left alone.
public struct RefreshSettings: Sendable, Equatable {
    /// How long before its end a token is refreshed (`REFRESH_MARGIN`), 1 second to 1 hour.
    public var margin = TokenRefresherConfiguration().margin
    /// The longest time between two tries (`REFRESH_BACKOFF_MAX`), 1 second to 1 hour.
    public var longestBackoff = TokenRefresherConfiguration().longestBackoff

    /// The defaults.
    public init() {}

    /// For the refresher.
    var configuration: TokenRefresherConfiguration {
        var configuration = TokenRefresherConfiguration()
        configuration.margin = margin
        configuration.longestBackoff = longestBackoff
        return configuration
    }
}
