/// The server's keys for sealing sessions: the first seals, all open, so that keys rotate without a logout.
///
/// Its `description` and reflection show key IDs only.
public struct SessionKeyring: Sendable {
    /// Reads a keyring: keys as ``generateKey()`` makes them, separated by commas or white space.
    ///
    /// - Throws: ``SessionKeyringError``, which says which key is wrong and quotes nothing.
    public init(_ text: String) throws(SessionKeyringError) {
        throw SessionKeyringError(description: "not yet")
    }

    /// Makes a new key from 256 bits of the system's cryptographically secure random numbers, as text.
    public static func generateKey() -> String { "" }

    /// The IDs of the keys, the sealing one first; safe to show.
    public var keyIDs: [String] { [] }
}

/// Why a text is no keyring. It quotes nothing of the text.
public struct SessionKeyringError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, and with which key.
    public let description: String
}
