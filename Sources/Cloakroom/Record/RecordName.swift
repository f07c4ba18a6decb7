import Crypto

/// What a stored record is called: a store's key for it is a prefix and this.
///
/// - plain: the session's ID itself, as other programs know it;
/// - sealed: `sha256:` and the base64url of the SHA-256 of the ID. No ID holds a colon, so no cookie can name such a record
///   directly.
public struct RecordName: Sendable, Hashable {
    private static let sealedPrefix = "sha256:"

    /// The name itself. That of a plain record is a secret.
    public let text: String
    /// Whether it is the name of a sealed record.
    public let isSealed: Bool

    /// The name of a session's plain record.
    public static func plain(_ id: SessionID) -> RecordName { RecordName(unchecked: id.secret, isSealed: false) }

    /// The name of a session's sealed record.
    public static func sealed(_ id: SessionID) -> RecordName {
        let hash = id.digest.withUnsafeBytes { Base64URL.encode($0) }
        return RecordName(unchecked: sealedPrefix + hash, isSealed: true)
    }

    private init(unchecked text: String, isSealed: Bool) {
        self.text = text
        self.isSealed = isSealed
    }

    /// Reads a name that was stored.
    public init?(_ text: String) {
        if text.hasPrefix(Self.sealedPrefix) {
            guard Base64URL.decode(text.dropFirst(Self.sealedPrefix.count))?.count == SHA256.byteCount else {
                return nil
            }
        } else {
            guard SessionID(text) != nil else { return nil }
        }
        self.text = text
        self.isSealed = text.hasPrefix(Self.sealedPrefix)
    }

    /// The session's ID, which a sealed record's name does not tell.
    public var id: SessionID? { isSealed ? nil : SessionID(text) }

    /// What may be shown of the session; the same whichever form its record has.
    public var handle: SessionHandle {
        if let id { return id.handle }
        let digest = Base64URL.decode(text.dropFirst(Self.sealedPrefix.count)) ?? []
        return SessionHandle(digest: digest)
    }
}

extension RecordName: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The handle: a plain name is a secret.
    public var description: String { "RecordName(handle: \(handle))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["handle": handle.description]) }
}
