package import Cloakroom
import CloakroomRedisClient
import NIOCore

import struct Foundation.Date

/// What `GET` and `TTL` say of one session, without a secret.
package struct SessionDetails: Sendable {
    /// How a record is stored.
    package enum Form: String, Sendable {
        case plain, gzip, sealed
    }

    /// Who, since when, until when; `nil` if the record can't be read here.
    package let summary: SessionSummary?
    package let form: Form
    /// The size of the record.
    package let bytes: Int
    /// What is left of the key's life, in milliseconds; `nil` for a key without one.
    package let life: Int?
    /// Whether a replica refreshes its tokens just now.
    package let isRefreshing: Bool
    /// The session; `nil` where the record is sealed, as that takes the user's cookie.
    package let session: Session?
    /// The key, which holds the ID of a plain session, and the record as it is stored. Both are secrets.
    package let secrets: (key: String, record: [UInt8])
}

extension RedisSessionStore {
    /// What there is of the session with this handle, which is looked for among all.
    ///
    /// - Parameter progress: called with how many were looked at.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    package func details(
        of handle: SessionHandle, progress: (Int) -> Void = { _ in }
    ) async throws -> SessionDetails? {
        guard let name = try await locate([handle], progress: progress)[handle] else { return nil }
        return try await details(of: name)
    }

    private func details(of name: RecordName) async throws -> SessionDetails? {
        let key = keys.session(name)
        let replies = try await calls.sendUnchecked([
            .get(key), .remainingMilliseconds(key), .get(keys.summary(name)),
            .exists([keys.refreshLease(handle: name.handle)]),
        ])
        if case .error(let error) = replies[0], error.kind != .wrongType { throw RedisFailure.storeError(error) }
        guard case .bulk(let buffer) = replies[0], buffer.readableBytes != RecordCodec.tombstone.count else {
            return nil
        }
        let record = Array(buffer.readableBytesView)
        let life = replies[1].integer.flatMap { $0 < 0 ? nil : $0 }
        let session = name.id.flatMap { records.decode(buffer, name: name, id: $0) }
        let summary: SessionSummary?
        if let session {
            summary = SessionSummary(
                of: session, handle: name.handle,
                lastSeenAt: lastSeen(session.expiresAt, life: life ?? -1, now: Date()))
        } else if case .bulk(let sealed) = replies[2] {
            summary = sealedSummary(sealed, name: name, life: life ?? -1, now: Date())
        } else {
            summary = nil
        }
        let isGzip = record.starts(with: [0x1F, 0x8B])
        return SessionDetails(
            summary: summary, form: name.isSealed ? .sealed : isGzip ? .gzip : .plain, bytes: record.count, life: life,
            isRefreshing: replies[3] == .number(1), session: session, secrets: (key, record))
    }
}
