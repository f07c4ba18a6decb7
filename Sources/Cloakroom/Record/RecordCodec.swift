package import struct Foundation.Date

/// Turns sessions into what a store keeps, in whichever form the settings say, and reads every form there is.
package struct RecordCodec: Sendable {
    /// What was found in a session's place.
    package enum Content: Sendable, Equatable {
        case session(Session)
        /// It was ended, and must not be taken over from elsewhere.
        case tombstone
    }

    /// The largest stored record in bytes: what a session may have at most, and what sealing adds.
    package static let maximumStoredSize = PlainRecord.maximumSize + 1024

    private let keyring: SessionKeyring?
    /// Whether new records are sealed; without it a keyring only opens.
    package let seals: Bool
    private let compressionThreshold: Int?

    /// - Parameters:
    ///   - keyring: what opens sealed records.
    ///   - seals: whether to write sealed records; needs a keyring.
    ///   - compressionThreshold: the size in bytes from which records are gzipped; `nil` for never.
    package init(keyring: SessionKeyring? = nil, seals: Bool = true, compressionThreshold: Int? = nil) {
        self.keyring = keyring
        self.seals = keyring != nil && seals
        self.compressionThreshold = compressionThreshold
    }

    /// Whether there may be sealed records that it can open.
    package var opensSealed: Bool { keyring != nil }

    /// What a new record of this session is called.
    package func name(for id: SessionID) -> RecordName { seals ? .sealed(id) : .plain(id) }

    /// The names under which a record of this session may be, the likelier first.
    package func names(for id: SessionID) -> [RecordName] {
        guard opensSealed else { return [.plain(id)] }
        return seals ? [.sealed(id), .plain(id)] : [.plain(id), .sealed(id)]
    }

    /// The record of a session.
    ///
    /// - Parameters:
    ///   - id: the session's ID, whose secret becomes part of the key.
    ///   - key: the key in the store, which is bound in: a record that was moved to another key is refused.
    /// - Throws: ``SessionStoreError/Code/tooLarge``
    package func encode(_ session: Session, id: SessionID, key: String) throws(SessionStoreError) -> [UInt8] {
        let record = PlainRecord.encode(session)
        guard record.count <= PlainRecord.maximumSize else {
            throw SessionStoreError(
                .tooLarge, reason: "a session may have \(PlainRecord.maximumSize) bytes, not \(record.count)")
        }
        return record
    }

    /// Reads a record of any form.
    package func decode(
        _ raw: UnsafeRawBufferPointer, id: SessionID, key: String
    ) throws(SessionRecordError) -> Content {
        .session(try PlainRecord.decode(raw))
    }

    /// The record that stands for an ended session. The same in all forms, as it holds nothing.
    package static let tombstone: [UInt8] = Array(#"{"ended":true}"#.utf8)

    // MARK: Summaries

    /// What is kept beside a sealed record, sealed with the keyring alone, so that lists need no cookie.
    ///
    /// - Parameter name: the record's name, which is bound in.
    package func encodeSummary(_ session: Session, name: RecordName) -> [UInt8] { [] }

    /// Reads what ``encodeSummary(_:name:)`` wrote.
    package func decodeSummary(
        _ raw: UnsafeRawBufferPointer, name: RecordName, lastSeenAt: Date?
    ) throws(SessionRecordError) -> SessionSummary { throw SessionRecordError("no summary") }
}
