import Cloakroom

/// What the store tells of sessions that it ends.
extension RedisSessionStore {
    /// A session that was ended.
    struct Ended {
        let user: UserIdentity?
    }

    /// Ends a session by `body`, and tells so if there was one.
    ///
    /// - Parameters:
    ///   - reason: why, unless the caller has stated another reason.
    ///   - body: gets the one that holds.
    func tellingEnd(
        of id: SessionID, because reason: SessionEndReason, _ body: (SessionEndReason) async throws -> Ended?
    ) async throws {
        let (handle, reason) = (id.handle, reason.orStated)
        guard let events else {
            _ = try await body(reason)
            return
        }
        events.begin(.session(handle), reason)
        defer { events.finish(.session(handle)) }
        if let ended = try await body(reason) {
            events.emit(SessionEvent(.ended(reason), session: handle, user: policy.resolved(ended.user)))
        }
    }

    /// Ends sessions by `body`, and tells of those that it has ended.
    ///
    /// - Parameters:
    ///   - subject: what they are about.
    ///   - user: whose they are, if all are one user's.
    ///   - reason: why, unless the caller has stated another reason.
    ///   - body: gets the reason that holds.
    func tellingEnds(
        of subject: SessionEvents.Subject, user: UserIdentity? = nil, because reason: SessionEndReason,
        _ body: (_ reason: SessionEndReason, _ tell: ([RecordName]) -> Void) async throws -> Int
    ) async throws -> Int {
        let reason = reason.orStated
        guard let events else { return try await body(reason) { _ in } }
        events.begin(subject, reason)
        defer { events.finish(subject) }
        return try await body(reason) { tellEnd(of: $0, user: user, because: reason) }
    }

    func tellEnd(of names: [RecordName], user: UserIdentity? = nil, because reason: SessionEndReason) {
        guard let events else { return }
        for name in names { events.emit(SessionEvent(.ended(reason), session: name.handle, user: user)) }
    }
}
