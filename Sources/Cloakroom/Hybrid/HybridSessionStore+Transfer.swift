public import struct Foundation.Date

extension HybridSessionStore: SessionTransfer {
    public func insertSession(_ session: Session, for id: SessionID) async throws -> Bool {
        guard !unconfirmed.contains(id) else { return false }
        // One that only the secondary has is held as well.
        if try await self.session(for: id) != nil { return false }
        guard try await primary.insertSession(session, for: id) else { return false }
        await tellSecondary(id) { _ = try await $0.insertSession(session, for: id) }
        return true
    }

    /// Ends a session in both stores and leaves a tombstone in both.
    ///
    /// - Throws: ``SessionStoreError`` when the primary could not confirm it. This process then serves the session no more,
    ///   and ``run()`` goes on trying.
    public func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws {
        do {
            try await primary.deleteSession(id, tombstoneUntil: end)
        } catch {
            unconfirmed.add(id, until: end, because: SessionEndReason.logout.orStated)
            await tellSecondary(id) { try await $0.deleteSession(id, tombstoneUntil: end) }
            throw error
        }
        await tellSecondary(id) { try await $0.deleteSession(id, tombstoneUntil: end) }
    }
}
