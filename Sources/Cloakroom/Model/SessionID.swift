package import Crypto

/// The secret that names a session: what the browser's cookie holds and the store's key is made of.
///
/// An ID of our own is 256 bits from the system's CSPRNG, written as 43 characters of base64url
/// (OWASP ASVS 7.2.3 asks for 128 bits). IDs that another program made, such as UUIDs or hex strings, are accepted as
/// opaque strings of a bounded safe alphabet.
///
/// Whoever knows the ID is the user. That is why `description`, `debugDescription` and reflection show only the
/// ``handle``, and why equality takes the same time wherever two IDs differ.
public struct SessionID: Sendable {
    /// The lengths, in bytes, that an ID may have.
    public static let lengths = 16...128

    /// The ID itself. Never log, print or compare this string; use ``handle`` to speak of a session.
    public let secret: String

    /// Makes a new ID from 256 bits of the system's cryptographically secure random numbers.
    public init() {
        self.secret = randomText()
    }

    /// Reads an ID that came from outside.
    ///
    /// - Parameter text: 16 to 128 characters of `A-Z a-z 0-9 - _ . ~`.
    /// - Returns: `nil` when the text is too short, too long, or holds any other character.
    public init?(_ text: some StringProtocol) {
        var length = 0
        for byte in text.utf8 {
            length += 1
            guard length <= Self.lengths.upperBound, Self.isAllowed(byte) else { return nil }
        }
        guard length >= Self.lengths.lowerBound else { return nil }
        self.secret = String(text)
    }

    /// What may be shown of this session in logs, pages and command output.
    public var handle: SessionHandle { SessionHandle(of: self) }

    /// The SHA-256 of the ID.
    package var digest: SHA256.Digest {
        var hash = SHA256()
        var secret = secret
        secret.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        return hash.finalize()
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
            UInt8(ascii: "~"):
            true
        default:
            false
        }
    }
}

extension SessionID: Hashable {
    /// Compares two IDs in a time that depends on their lengths alone.
    public static func == (left: SessionID, right: SessionID) -> Bool {
        constantTimeEquals(left.secret, right.secret)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(secret)
    }
}

extension SessionID: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The handle, marked as such; never the ID.
    public var description: String { "SessionID(handle: \(handle))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["handle": handle.description]) }
}

/// A name for a session that is safe to show: the first 96 bits of the SHA-256 of its ID, in lower-case hex.
///
/// It can't be turned back into the ID, and it is the same on every replica.
public struct SessionHandle: Sendable, Hashable, CustomStringConvertible {
    /// 24 characters of lower-case hex.
    public let description: String

    init(of id: SessionID) { self.init(digest: id.digest) }

    /// The handle of the ID with this SHA-256.
    init(digest: some Sequence<UInt8>) { self.description = Hex.encode(digest.prefix(12)) }

    /// Reads a handle that was shown before.
    ///
    /// - Returns: `nil` when the text is not 24 characters of lower-case hex.
    public init?(_ text: String) {
        let isHex = text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        guard text.utf8.count == 24, isHex else { return nil }
        self.description = text
    }
}
