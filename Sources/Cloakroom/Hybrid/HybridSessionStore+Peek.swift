extension HybridSessionStore: SessionPeek, SessionWatching {
    /// The primary's session, or else the secondary's, which is not copied up.
    ///
    /// - Throws: ``SessionStoreError`` when the store can't tell, or one of the two is no ``SessionPeek``.
    public func peek(at id: SessionID) async throws -> PeekedSession? {
        guard !unconfirmed.contains(id) else { return nil }
        guard let first = primary as? any SessionPeek else { throw Self.cannotPeek }
        if let peeked = try await first.peek(at: id) { return peeked }
        return try await askSecondary { secondary in
            guard let second = secondary as? any SessionPeek else { throw Self.cannotPeek }
            return try await second.peek(at: id)
        }
    }

    private static var cannotPeek: SessionStoreError {
        SessionStoreError(.rejected, reason: "a store of the two can't show a session without using it")
    }

    private var watching: (any SessionWatching)? { primary as? any SessionWatching }

    package var hearsOfOthers: Bool { watching?.hearsOfOthers ?? false }
    package func isHeard(_ id: SessionID) -> Bool { watching?.isHeard(id) ?? false }
    package func watch(_ id: SessionID) { watching?.watch(id) }
    package func unwatch(_ id: SessionID) { watching?.unwatch(id) }
    package func onChange(_ body: @escaping @Sendable (SessionID, PeekedSession) -> Void) { watching?.onChange(body) }

    package func nearPeek(at id: SessionID) -> PeekedSession? {
        unconfirmed.contains(id) ? nil : watching?.nearPeek(at: id)
    }
}
