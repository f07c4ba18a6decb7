public import Cloakroom

extension SessionEndReason {
    /// What a user is told whose session has ended for this reason; `nil` where there is nothing worth telling.
    public var notice: String? {
        switch self {
        case .limit:
            "You were logged out here because you logged in elsewhere, and you may only have so many sessions at once."
        case .revokedByUser: "You were logged out because this session was ended from another of your sessions."
        case .revokedByOperator: "You were logged out because an operator ended this session."
        case .revokedByProvider: "You were logged out because the login service ended this session."
        case .invalidGrant: "You were logged out because the login service did not renew this session."
        case .logout: "You logged out in another tab."
        case .idle: "You were logged out because you were not active for some time."
        case .absolute: "You were logged out because the time for this session was over."
        case .replaced, .elsewhere: nil
        }
    }
}
