import struct Foundation.Date

/// Lists are those of both stores, each session once.
///
/// Whatever ends sessions here ends the secondary's first, then the primary's; ``copyUp(_:)`` says why. When the secondary
/// fails the primary's are ended all the same, and the call throws: what the secondary kept could come back.
extension HybridSessionStore: SessionDirectory {
    public func sessions(ofUser user: UserIdentity) async throws -> [SessionSummary] {
        Self.union(
            try await primary.sessions(ofUser: user),
            try await askSecondary { try await $0.sessions(ofUser: user) }, atMost: policy.maximumPerUser)
    }

    public func sessions(ofProviderSession session: ProviderSession) async throws -> [SessionSummary] {
        Self.union(
            try await primary.sessions(ofProviderSession: session),
            try await askSecondary { try await $0.sessions(ofProviderSession: session) })
    }

    /// The primary's pages come first, then what the secondary has beyond them.
    public func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        let (part, inner) = try cursor.map(Self.position) ?? ("p", nil)
        if part == "p" {
            let page = try await primary.sessions(after: inner, limit: limit)
            return SessionPage(
                sessions: page.sessions, next: SessionPage.Cursor(page.next.map { "p:\($0.text)" } ?? "s:"))
        }
        let page = try await askSecondary { try await $0.sessions(after: inner, limit: limit) }
        let known = try await handlesInPrimary(of: Set(page.sessions.compactMap(\.user)))
        return SessionPage(
            sessions: page.sessions.filter { !known.contains($0.handle) },
            next: page.next.map { SessionPage.Cursor("s:\($0.text)") })
    }

    /// How many sessions the store has that has more: as every session is written to both, the other has none besides.
    public func sessionCount() async throws -> Int {
        max(try await primary.sessionCount(), try await askSecondary { try await $0.sessionCount() })
    }

    public func sessionCount(ofUser user: UserIdentity) async throws -> Int {
        try await sessions(ofUser: user).count
    }

    public func deleteSession(_ handle: SessionHandle, ofUser user: UserIdentity?) async throws -> Bool {
        let (former, latter) = try await endInBoth { try await $0.deleteSession(handle, ofUser: user) }
        return former || latter
    }

    public func deleteSessions(ofUser user: UserIdentity, except kept: SessionID?) async throws -> Int {
        let count = try? await sessions(ofUser: user).count { $0.handle != kept?.handle }
        let (former, latter) = try await endInBoth { try await $0.deleteSessions(ofUser: user, except: kept) }
        return max(count ?? 0, former, latter)
    }

    public func deleteSessions(ofProviderSession session: ProviderSession) async throws -> Int {
        let count = try? await sessions(ofProviderSession: session).count
        let (former, latter) = try await endInBoth { try await $0.deleteSessions(ofProviderSession: session) }
        return max(count ?? 0, former, latter)
    }

    public func deleteAllSessions() async throws -> Int {
        let (former, latter) = try await endInBoth { try await $0.deleteAllSessions() }
        return max(former, latter)
    }

    private func endInBoth<Answer: Sendable>(
        _ end: (any Part) async throws -> Answer
    ) async throws -> (Answer, Answer) {
        let former: Result<Answer, any Error>
        do {
            former = .success(try await askSecondary(end))
        } catch {
            former = .failure(error)
        }
        let latter = try await end(primary)
        return (try former.get(), latter)
    }

    /// What the primary has of these users.
    private func handlesInPrimary(of users: Set<UserIdentity>) async throws -> Set<SessionHandle> {
        let primary = primary
        return try await withThrowingTaskGroup(of: [SessionSummary].self) { group in
            for user in users {
                group.addTask { try await primary.sessions(ofUser: user) }
            }
            return try await group.reduce(into: []) { handles, sessions in handles.formUnion(sessions.map(\.handle)) }
        }
    }

    /// Each session once, as the primary shows it, the newest first.
    ///
    /// - Parameter limit: how many a user may have. What the secondary has beyond them, the primary has ended for newer
    ///   ones, and does not take over.
    private static func union(
        _ primary: [SessionSummary], _ secondary: [SessionSummary], atMost limit: Int? = nil
    ) -> [SessionSummary] {
        let known = Set(primary.map(\.handle))
        let others = secondary.filter { !known.contains($0.handle) }
            .prefix(limit.map { max(0, $0 - primary.count) } ?? .max)
        guard !others.isEmpty else { return primary }
        return (primary + others).sorted { $0.createdAt > $1.createdAt }
    }

    private static func position(
        _ cursor: SessionPage.Cursor
    ) throws(SessionStoreError) -> (part: Substring, inner: SessionPage.Cursor?) {
        let parts = cursor.text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == "p" || parts[0] == "s" else {
            throw SessionStoreError(.rejected, reason: "the cursor is not one of this store's")
        }
        return (parts[0], parts[1].isEmpty ? nil : SessionPage.Cursor(String(parts[1])))
    }
}
