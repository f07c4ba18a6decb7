import Cloakroom

/// Stands in for the store's own until that is there.
enum ConditionalEnd: Sendable, Equatable {
    case ended
    case absent
    case changed(Session)
}

extension RefreshLeaseStore {
    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        guard let session = try await session(for: id) else { return .absent }
        guard session.tokens == tokens else { return .changed(session) }
        try await deleteSession(id)
        return .ended
    }
}
