/// A store that can say at once about how many sessions it has.
package protocol SessionEstimate: Sendable {
    /// About how many sessions there are, without a walk over all of them.
    ///
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func estimatedSessionCount() async throws -> Int
}

extension InMemorySessionStore: SessionEstimate {
    /// How many there are: here that is cheap enough.
    package func estimatedSessionCount() async throws -> Int { try await sessionCount() }
}

extension HybridSessionStore: SessionEstimate {
    /// That of the primary: what only the secondary has is not counted.
    package func estimatedSessionCount() async throws -> Int {
        guard let primary = primary as? any SessionEstimate else { return try await primary.sessionCount() }
        return try await primary.estimatedSessionCount()
    }
}
