package import Cloakroom
import CloakroomRedisClient

/// A session that an operator looked for: where it is, and what lists show of it.
package struct LocatedSession: Sendable {
    /// That of a plain session is a secret.
    package let name: RecordName
    package let summary: SessionSummary
}

/// What operators look for: users without knowing the issuer, and sessions by their handles alone.
extension RedisSessionStore {
    /// How many keys one step of a walk looks at, and of how many sessions one step reads the records: Redis carries it out in
    /// a millisecond or so, for which all others wait.
    private static let stretch = 1000
    private static let recordStretch = 300

    // MARK: Users

    /// The live sessions of the users with this `sub`, as the index has them, the newest first.
    ///
    /// - Parameter issuer: at which provider; `nil` for the policy's default issuer, and where that is not known either, for
    ///   whichever the gateways have as theirs.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    package func locate(subject: String, issuer: String?) async throws -> [LocatedSession] {
        let wanted = issuer ?? policy.defaultIssuer
        var found: [SessionHandle: LocatedSession] = [:]
        for index in userIndexes(subject: subject, issuer: wanted) {
            let looks = try await look(at: self.index.names(in: index, limit: Self.listLimit))
            await self.index.heal(index, gone: looks.filter { $0.state == .gone }.map(\.name))
            for look in looks {
                guard let summary = look.summary, summary.subject?.utf8.elementsEqual(subject.utf8) == true,
                    Self.mayBe(summary.issuer, wanted)
                else { continue }
                found[summary.handle] = LocatedSession(name: look.name, summary: summary)
            }
        }
        return found.values.sorted { $0.summary.createdAt > $1.summary.createdAt }
    }

    /// The indexes that may have a user's sessions: which issuer goes without its name in there is the gateways' matter.
    private func userIndexes(subject: String, issuer: String?) -> [String] {
        let named = keys.userIndex(UserIdentity(issuer: issuer, subject: subject))
        guard policy.defaultIssuer == nil, issuer != nil else { return [named] }
        return [named, keys.userIndex(UserIdentity(issuer: nil, subject: subject))]
    }

    private static func mayBe(_ issuer: String?, _ wanted: String?) -> Bool {
        guard let issuer, let wanted else { return true }
        return issuer.utf8.elementsEqual(wanted.utf8)
    }

    /// The live sessions that `isWanted` takes, by a walk over all, the newest first.
    ///
    /// - Parameter progress: called with how many were looked at.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    package func locate(
        where isWanted: (SessionSummary) -> Bool, progress: (Int) -> Void = { _ in }
    ) async throws -> [LocatedSession] {
        var walk = try await SessionWalk(nil, client: calls.client, keys: keys)
        var found: [SessionHandle: LocatedSession] = [:]
        var seen = 0
        while let names = try await walk.next(count: Self.recordStretch) {
            for look in try await look(at: names) {
                guard let summary = look.summary, isWanted(summary) else { continue }
                found[summary.handle] = LocatedSession(name: look.name, summary: summary)
            }
            seen += names.count
            progress(seen)
        }
        return found.values.sorted { $0.summary.createdAt > $1.summary.createdAt }
    }

    // MARK: Handles

    /// The records of the sessions with these handles, by a walk over the keys of all sessions. Redis itself does most of the
    /// work where one sealed session is looked for.
    ///
    /// - Parameter progress: called with how many were looked at.
    /// - Returns: what there is, tombstones included.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    package func locate(
        _ handles: Set<SessionHandle>, progress: (Int) -> Void = { _ in }
    ) async throws -> [SessionHandle: RecordName] {
        guard let first = handles.first else { return [:] }
        var wanted = handles
        // The name of a sealed record begins with what its handle says; that of a plain one must be hashed.
        var beginnings: [String: SessionHandle] = [:]
        for handle in handles { beginnings[RecordName.sealedBeginning(of: handle)] = handle }
        let isSealed = try await calls.send(.exists([keys.summary(handle: first)])) != .number(0)
        let pattern = handles.count == 1 && isSealed ? keys.pattern(of: RecordName.sealedBeginning(of: first)) : nil
        var walk = try await SessionWalk(nil, client: calls.client, keys: keys, pattern: pattern)
        var found: [SessionHandle: RecordName] = [:]
        var seen = 0
        while !wanted.isEmpty, let names = try await walk.next(count: pattern == nil ? Self.stretch : 4 * Self.stretch)
        {
            for name in names {
                let handle =
                    name.isSealed
                    ? beginnings[String(name.text.prefix(RecordName.sealedBeginningLength))] : name.handle
                guard let handle, wanted.remove(handle) != nil else { continue }
                found[handle] = name
            }
            seen += names.count
            progress(seen)
        }
        return found
    }

    /// Ends the sessions of these records, in one round trip to each server for a thousand.
    ///
    /// - Returns: how many there were.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it; some may have ended.
    package func end(_ names: [RecordName]) async throws -> Int {
        var count = 0
        var rest = names[...]
        while !rest.isEmpty {
            // What an index still has of them its readers remove.
            let part = Array(rest.prefix(Self.stretch))
            count += try await end(part, in: nil, because: .revokedByOperator.orStated).count
            rest = rest.dropFirst(Self.stretch)
        }
        return count
    }
}
