extension HybridSessionStore: FullSessionStore {}

extension HybridSessionStore: RefreshLeaseStore {
    public func acquireRefreshLease(for id: SessionID, lifetime: Duration) async throws -> RefreshLeaseAnswer {
        guard !unconfirmed.contains(id) else { return .ended }
        let answer = try await primary.acquireRefreshLease(for: id, lifetime: lifetime)
        guard case .ended = answer, try await copyUp(id) != nil else { return answer }
        return try await primary.acquireRefreshLease(for: id, lifetime: lifetime)
    }

    public func renewRefreshLease(_ lease: RefreshLease, lifetime: Duration) async throws -> Bool {
        try await primary.renewRefreshLease(lease, lifetime: lifetime)
    }

    public func releaseRefreshLease(_ lease: RefreshLease) async throws {
        try await primary.releaseRefreshLease(lease)
    }

    public func completeRefresh(_ lease: RefreshLease, tokens: TokenSet) async throws -> RefreshResult {
        guard !unconfirmed.contains(lease.id) else { return .ended }
        let result = try await primary.completeRefresh(lease, tokens: tokens)
        if case .refreshed = result { await refreshSecondary(lease.id, tokens: tokens) }
        return result
    }

    public func waitForRefresh(
        of id: SessionID, after stale: Session, atMost limit: Duration
    ) async throws -> RefreshWait {
        guard !unconfirmed.contains(id) else { return .ended }
        return try await primary.waitForRefresh(of: id, after: stale, atMost: limit)
    }
}

extension HybridSessionStore: OneTimeRecordStore {
    public func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try await primary.putRecord(record, key: key, lifetime: lifetime)
    }

    public func putRecordIfAbsent(_ record: [UInt8], key: String, lifetime: Duration) async throws -> Bool {
        try await primary.putRecordIfAbsent(record, key: key, lifetime: lifetime)
    }

    public func readRecord(key: String) async throws -> [UInt8]? {
        if let record = try await primary.readRecord(key: key) { return record }
        return try await askSecondary { try await $0.readRecord(key: key) }
    }

    public func takeRecord(key: String) async throws -> [UInt8]? {
        if let record = try await primary.takeRecord(key: key) { return record }
        return try await askSecondary { try await $0.takeRecord(key: key) }
    }
}

extension HybridSessionStore: SessionEndNotes {
    /// The primary's note, and else the secondary's, if it can be asked.
    public func endReason(of session: SessionHandle) async throws -> SessionEndReason? {
        if let reason = try await primary.endReason(of: session) { return reason }
        return try? await askSecondary { try await $0.endReason(of: session) }
    }
}
