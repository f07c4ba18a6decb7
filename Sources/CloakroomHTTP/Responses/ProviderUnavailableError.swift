import Cloakroom
import HTTPTypes

/// A session's access token has ended, and the identity provider gives no other at the moment. The session stays: the answer
/// is 503, and the cookie is kept.
public struct ProviderUnavailableError: Error, Sendable, Equatable {
    /// When to try again.
    public let retryAfter: Duration

    /// Makes an error.
    public init(retryAfter: Duration) { self.retryAfter = retryAfter }
}

extension RequestFailure {
    static func providerUnavailable(_ error: ProviderUnavailableError, _ requestID: String) -> RequestFailure {
        RequestFailure(
            name: "provider_unavailable",
            page: ErrorPage(
                status: .serviceUnavailable, title: "The login service does not answer",
                message: "You stay logged in. Please try again in a moment.", requestID: requestID,
                action: .init(label: "Go to the start page", path: "/")),
            headers: [.retryAfter: "\(max(1, error.retryAfter.components.seconds + 1))"])
    }
}
