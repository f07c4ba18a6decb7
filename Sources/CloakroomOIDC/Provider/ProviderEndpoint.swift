import Metrics

/// What the provider is asked for.
enum ProviderEndpoint: String, Sendable {
    case discovery, keys, par, token, userinfo

    /// What came of it, for metrics.
    enum Outcome: String {
        case ok, refused, failed
    }

    /// Its answer, to begin an error's reason with.
    var answer: String {
        switch self {
        case .discovery: "the provider's metadata"
        case .keys: "the provider's key set"
        case .par: "the pushed authorization request endpoint's answer"
        case .token: "the token endpoint's answer"
        case .userinfo: "the UserInfo endpoint's answer"
        }
    }

    func note(_ duration: Duration, _ outcome: Outcome) {
        Timer(
            label: "cloakroom_provider_request_duration_seconds",
            dimensions: [("endpoint", rawValue), ("outcome", outcome.rawValue)]
        ).record(duration: duration)
    }
}
