import Cloakroom

/// Tokens that the provider gave and the store could not keep yet. The old refresh token may be worth nothing by now, so
/// that they are all that the session has.
struct UnsavedTokens: Sendable {
    struct Entry: Sendable {
        let lease: RefreshLease
        let tokens: TokenSet
    }

    /// More than this many are not remembered.
    static let most = 10_000

    private var entries: [SessionHandle: Entry] = [:]

    var isEmpty: Bool { entries.isEmpty }
    var all: [Entry] { Array(entries.values) }

    subscript(session: SessionHandle) -> Entry? { entries[session] }

    func contains(_ session: SessionHandle) -> Bool { entries[session] != nil }

    /// - Returns: whether there was room.
    mutating func add(_ entry: Entry) -> Bool {
        let handle = entry.lease.id.handle
        guard entries.count < Self.most || entries[handle] != nil else { return false }
        entries[handle] = entry
        return true
    }

    mutating func remove(_ session: SessionHandle) { entries[session] = nil }
}
