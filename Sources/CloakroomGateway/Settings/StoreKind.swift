/// Where sessions are (`SESSION_STORE`).
public enum StoreKind: String, Sendable, CaseIterable {
    /// In this process's memory.
    case memory
    /// In Redis.
    case redis
    /// In two Redis servers, to move from one to the other.
    case hybrid
}
