import Cloakroom

import struct Foundation.Date

/// How urgently a session needs a new access token.
enum RefreshNeed: Sendable, Equatable {
    /// Not yet.
    case none
    /// The token can be used, and is to be refreshed meanwhile.
    case soon
    /// The token has so little time left that it is to be refreshed first. It is still good when that fails.
    case now
    /// The token has ended.
    case overdue

    init(of session: Session, at now: Date, _ configuration: TokenRefresherConfiguration) {
        guard let end = session.accessTokenExpiresAt else {
            self = .none
            return
        }
        let left = end.timeIntervalSince(now)
        // A provider need not say how long the token lives; then it is what was left when it came.
        let life =
            session.tokens.expiresIn.map { Double(max(0, $0)) }
            ?? max(0, end.timeIntervalSince(session.refreshedAt ?? session.createdAt))
        let margin = min(configuration.margin.inSeconds, life / 2)
        let urgentMargin = min(configuration.urgentMargin.inSeconds, margin / 2)
        self = left <= 0 ? .overdue : left <= urgentMargin ? .now : left <= margin ? .soon : .none
    }
}
