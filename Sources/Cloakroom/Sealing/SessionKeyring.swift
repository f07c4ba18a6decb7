import Crypto

/// The server's keys for sealing sessions: the first seals, all open, so that keys rotate without a logout.
///
/// Its `description` and reflection show key IDs only.
public struct SessionKeyring: Sendable {
    /// How many keys a keyring may have.
    public static let counts = 1...32

    /// The sealing key first.
    private let keys: [SealingKey]

    /// Reads a keyring: keys as ``generateKey()`` makes them, separated by commas or white space.
    ///
    /// - Throws: ``SessionKeyringError``, which says which key is wrong and quotes nothing.
    public init(_ text: String) throws(SessionKeyringError) {
        let parts = text.split { $0 == "," || $0.isWhitespace }
        guard let first = parts.first else { throw SessionKeyringError(description: "there is no key") }
        guard Self.counts.contains(parts.count) else {
            throw SessionKeyringError(
                description: "there are \(parts.count) keys; \(Self.counts.upperBound) are the most")
        }
        var keys = [try SealingKey(first, number: 1)]
        for (index, part) in parts.enumerated().dropFirst() {
            let key = try SealingKey(part, number: index + 1)
            if let earlier = keys.firstIndex(where: { $0.id == key.id }) {
                let problem =
                    constantTimeEquals(String(parts[earlier]), String(part))
                    ? "is key \(earlier + 1) once more" : "has the same ID as key \(earlier + 1); generate another"
                throw SessionKeyringError(description: "key \(index + 1) \(problem)")
            }
            keys.append(key)
        }
        self.keys = keys
    }

    /// Makes a new key from 256 bits of the system's cryptographically secure random numbers, as text.
    public static func generateKey() -> String {
        SealingKey.prefix + randomText()
    }

    /// The IDs of the keys, the sealing one first; safe to show.
    public var keyIDs: [String] { keys.map { SealingKey.text(ofID: $0.id) } }

    var sealingKey: SealingKey { keys[0] }

    func key(withID id: UInt32) -> SealingKey? { keys.first { $0.id == id } }
}

extension SessionKeyring: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "SessionKeyring(keyIDs: \(keyIDs.joined(separator: ", ")))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["keyIDs": keyIDs]) }
}

/// Why a text is no keyring. It quotes nothing of the text.
public struct SessionKeyringError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, and with which key.
    public let description: String
}
