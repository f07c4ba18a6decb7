import Synchronization

public import struct Foundation.Date

/// Turns sessions into what a store keeps, in whichever form the settings say, and reads every form there is.
public struct RecordCodec: Sendable {
    /// What was found in a session's place.
    public enum Content: Sendable, Equatable {
        case session(Session)
        /// It was ended, and must not be taken over from elsewhere.
        case tombstone
    }

    /// Shared by all copies of a codec, so that the keys can be replaced in all of them.
    private let keys: Keys?
    private var keyring: SessionKeyring? { keys?.current }
    /// Whether new records are sealed; without it a keyring only opens.
    public let seals: Bool
    private let compressionThreshold: Int?
    private let acceptsPlain: Bool

    /// Makes a codec.
    ///
    /// - Parameters:
    ///   - keyring: what opens sealed records.
    ///   - seals: whether to write sealed records; needs a keyring.
    ///   - compressionThreshold: the size in bytes from which records are gzipped; `nil` for never.
    ///   - acceptsPlain: whether plain records are read where sealed ones are written. `false` once all sessions are
    ///     sealed: then who can write to the store can't plant a session in it.
    public init(
        keyring: SessionKeyring? = nil, seals: Bool = true, compressionThreshold: Int? = nil,
        acceptsPlain: Bool = true
    ) {
        keys = keyring.map(Keys.init)
        self.seals = keyring != nil && seals
        self.acceptsPlain = acceptsPlain || keyring == nil || !seals
        self.compressionThreshold = compressionThreshold
    }

    /// The same codec, with the same keys, for records that are sealed whatever is set for new ones.
    package var sealing: RecordCodec { RecordCodec(sealingLike: self) }

    private init(sealingLike other: RecordCodec) {
        keys = other.keys
        seals = other.keys != nil
        acceptsPlain = true
        compressionThreshold = other.compressionThreshold
    }

    /// Replaces the keys, in all copies of this codec: calls under way end with the old ones or the new ones.
    ///
    /// Rotate in steps, as with a restart: a key must be able to open records everywhere before it seals them anywhere.
    /// Does nothing in a codec that was made without keys.
    public func replaceKeyring(_ keyring: SessionKeyring) { keys?.current = keyring }

    private final class Keys: Sendable {
        private let keyring: Mutex<SessionKeyring>

        init(_ keyring: SessionKeyring) { self.keyring = Mutex(keyring) }

        var current: SessionKeyring {
            get { keyring.withLock { $0 } }
            set { keyring.withLock { $0 = newValue } }
        }
    }

    /// The IDs of the keys that are in use, the sealing one first.
    package var keyIDs: [String] { keyring?.keyIDs ?? [] }

    /// Whether there may be sealed records that it can open.
    public var opensSealed: Bool { keys != nil }

    /// What a new record of this session is called.
    public func name(for id: SessionID) -> RecordName { seals ? .sealed(id) : .plain(id) }

    /// The names under which a record of this session may be, the likelier first.
    public func names(for id: SessionID) -> [RecordName] {
        guard opensSealed else { return [.plain(id)] }
        guard acceptsPlain else { return [.sealed(id)] }
        return seals ? [.sealed(id), .plain(id)] : [.plain(id), .sealed(id)]
    }

    /// The record of a session.
    ///
    /// - Parameters:
    ///   - session: what is to be stored.
    ///   - id: the session's ID, whose secret becomes part of the key.
    ///   - key: the key in the store, which is bound in: a record that was moved to another key is refused.
    /// - Throws: ``SessionStoreError/Code/tooLarge``
    public func encode(_ session: Session, id: SessionID, key: String) throws(SessionStoreError) -> [UInt8] {
        var record = PlainRecord.encode(session)
        guard record.count <= PlainRecord.maximumSize else {
            throw SessionStoreError(
                .tooLarge, reason: "a session may have \(PlainRecord.maximumSize) bytes, not \(record.count)")
        }
        if let compressionThreshold, record.count >= compressionThreshold, let smaller = Gzip.compress(record) {
            record = smaller
        }
        guard seals, let keyring else { return record }
        do throws(SessionRecordError) {
            return try SealedRecord.seal(record, as: .session, with: keyring, place: key) { $0.recordKey(for: id) }
        } catch {
            throw SessionStoreError(.rejected, reason: error.description)
        }
    }

    /// Reads a record of any form.
    ///
    /// - Throws: ``SessionRecordError`` when it is none, or not this session's, or of a form that is not accepted.
    public func decode(_ bytes: [UInt8], id: SessionID, key: String) throws(SessionRecordError) -> Content {
        try bytes.withUnsafeBytesOfRecord { (raw) throws(SessionRecordError) in try decode(raw, id: id, key: key) }
    }

    /// Reads a record of any form.
    ///
    /// - Throws: ``SessionRecordError`` when it is none, or not this session's, or of a form that is not accepted.
    public func decode(
        _ raw: UnsafeRawBufferPointer, id: SessionID, key: String
    ) throws(SessionRecordError) -> Content {
        guard raw.first == SealedRecord.magic else {
            if Self.isTombstone(raw) { return .tombstone }
            guard acceptsPlain else { throw SessionRecordError("plain, and only sealed sessions are accepted") }
            // Whoever can write to the store could else put a session of their own in a sealed one's place.
            guard Self.isPlainKey(key, of: id) else { throw SessionRecordError("not sealed, in a sealed one's place") }
            return .session(try Self.session(from: raw))
        }
        guard raw.count <= Self.maximumSize else { throw SessionRecordError("larger than \(Self.maximumSize) bytes") }
        let opened = try SealedRecord.open(raw, as: .session, with: keyring, place: key) { $0.recordKey(for: id) }
        let session = opened.withUnsafeBytes { raw in
            Result { () throws(SessionRecordError) in try Self.session(from: raw) }
        }
        return .session(try session.get())
    }

    /// The largest record of any form, in bytes.
    public static let maximumSize = PlainRecord.maximumSize + SealedRecord.overhead

    /// The session of a plain record, which may be compressed.
    private static func session(from raw: UnsafeRawBufferPointer) throws(SessionRecordError) -> Session {
        guard Gzip.isGzip(raw) else { return try PlainRecord.decode(raw) }
        return try PlainRecord.decode(try Gzip.decompress(raw, limit: PlainRecord.maximumSize))
    }

    private static func isTombstone(_ raw: UnsafeRawBufferPointer) -> Bool {
        raw.count == tombstone.count && raw.elementsEqual(tombstone)
    }

    /// Whether a record's key ends in the session's ID, as that of a plain record does.
    private static func isPlainKey(_ key: String, of id: SessionID) -> Bool {
        let secret = id.secret.utf8
        return key.utf8.count >= secret.count && key.utf8.suffix(secret.count).elementsEqual(secret)
    }

    /// The record that stands for an ended session. The same in all forms, as it holds nothing.
    public static let tombstone: [UInt8] = Array(#"{"ended":true}"#.utf8)

    // MARK: Summaries

    /// What is kept beside a sealed record, sealed with the keyring alone, so that lists need no cookie.
    ///
    /// - Parameters:
    ///   - session: the session.
    ///   - name: the record's name, which is bound in.
    /// - Returns: nothing without a keyring, as then there is no sealed record to keep it beside.
    public func encodeSummary(_ session: Session, name: RecordName) -> [UInt8] {
        guard let keyring else { return [] }
        let plain = SummaryRecord.encode(session)
        return (try? SealedRecord.seal(plain, as: .summary, with: keyring, place: name.text) { $0.summaryKey }) ?? []
    }

    /// Reads what ``encodeSummary(_:name:)`` wrote.
    public func decodeSummary(
        _ bytes: [UInt8], name: RecordName, lastSeenAt: Date?
    ) throws(SessionRecordError) -> SessionSummary {
        try bytes.withUnsafeBytesOfRecord { (raw) throws(SessionRecordError) in
            try decodeSummary(raw, name: name, lastSeenAt: lastSeenAt)
        }
    }

    /// Reads what ``encodeSummary(_:name:)`` wrote.
    ///
    /// - Throws: ``SessionRecordError`` when it is none, or another record's.
    public func decodeSummary(
        _ raw: UnsafeRawBufferPointer, name: RecordName, lastSeenAt: Date?
    ) throws(SessionRecordError) -> SessionSummary {
        guard raw.count <= Self.maximumSize else { throw SessionRecordError("larger than \(Self.maximumSize) bytes") }
        guard raw.first == SealedRecord.magic else { throw SessionRecordError("not a sealed summary") }
        let opened = try SealedRecord.open(raw, as: .summary, with: keyring, place: name.text) { $0.summaryKey }
        let summary = opened.withUnsafeBytes { raw in
            Result { () throws(SessionRecordError) in
                try SummaryRecord.decode(raw, handle: name.handle, lastSeenAt: lastSeenAt)
            }
        }
        return try summary.get()
    }
}

extension [UInt8] {
    fileprivate func withUnsafeBytesOfRecord<Value>(
        _ body: (UnsafeRawBufferPointer) throws(SessionRecordError) -> Value
    ) throws(SessionRecordError) -> Value {
        try withUnsafeBufferPointer { (buffer) throws(SessionRecordError) in try body(UnsafeRawBufferPointer(buffer)) }
    }
}
