import Cloakroom
import Foundation
import Synchronization

@testable import CloakroomOIDC

/// Rotates refresh tokens as strict providers do: each is good once, and its second use is `invalid_grant`.
final class RotatingProvider: Sendable {
    private struct State {
        var good: Set<String>
        var calls = 0
        var error: OIDCError?
        var delay: Duration = .zero
        var hasNewAccessToken = true
    }

    private let state: Mutex<State>

    init(_ refreshTokens: String...) { state = Mutex(State(good: Set(refreshTokens))) }

    var calls: Int { state.withLock { $0.calls } }

    /// All further calls fail so; `nil` ends that.
    func fail(_ error: OIDCError?) { state.withLock { $0.error = error } }
    func slowDown(_ delay: Duration) { state.withLock { $0.delay = delay } }
    func withholdAccessTokens() { state.withLock { $0.hasNewAccessToken = false } }

    func answer(_ session: Session) async throws(OIDCError) -> RefreshedTokens {
        let delay = state.withLock { state in
            state.calls += 1
            return state.delay
        }
        if delay > .zero { try? await Task.sleep(for: delay) }
        let result: Result<RefreshedTokens, OIDCError> = state.withLock { state in
            if let error = state.error { return .failure(error) }
            guard let old = session.tokens.refreshToken, state.good.remove(old) != nil else {
                return .failure(OIDCError(.invalidGrant, reason: "used before"))
            }
            let new = "refresh-\(UUID().uuidString)"
            state.good.insert(new)
            return .success(
                RefreshedTokens(
                    tokens: TokenSet(
                        accessToken: state.hasNewAccessToken ? "new-access" : session.tokens.accessToken,
                        refreshToken: new, expiresIn: state.hasNewAccessToken ? 300 : 0),
                    hasNewAccessToken: state.hasNewAccessToken))
        }
        return try result.get()
    }
}
