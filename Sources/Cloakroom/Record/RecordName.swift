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

    /// How the name of a sealed record begins whose session has this handle: all that the handle tells of it.
    package static func sealedBeginning(of handle: SessionHandle) -> String {
        let digits = Array(handle.description.utf8)
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).map { index in
            digits[index...index + 1].reduce(0) { $0 << 4 | ($1 < 0x3A ? $1 - 0x30 : $1 - 0x57) }
        }
        return sealedPrefix + Base64URL.encode(bytes)
    }

    /// The length of ``sealedBeginning(of:)`` in characters: 12 bytes are 16 of base64url.
    package static let sealedBeginningLength = sealedPrefix.utf8.count + 16

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
