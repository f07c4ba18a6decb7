public import Cloakroom

/// In which form sessions are stored in Redis. All forms are read, whatever is set here, but for plain ones that are refused.
public struct RecordSettings: Sendable {
    /// How records are compressed.
    public enum Compression: String, Sendable, CaseIterable {
        /// Not at all.
        case off
        /// With gzip, from a threshold on.
        case gzip
    }

    /// The keys that seal and open sessions (`SESSION_KEYS`); `nil` for the plain form.
    public var keyring: SessionKeyring?
    /// Whether new records are sealed (`SESSION_SEAL`); off, the keys only open, for the first half of a rolling deploy.
    public var seals = true
    /// Whether plain records are read where sealed ones are written (`SESSION_PLAIN`): `accept` or `refuse`.
    public var acceptsPlain = true
    /// How records are compressed (`SESSION_COMPRESSION`).
    public var compression = Compression.off
    /// From which size on, in bytes (`SESSION_COMPRESSION_THRESHOLD`).
    public var compressionThreshold = 1024

    /// The defaults: the plain form, not compressed.
    public init() {}

    func validate() throws(SettingsError) {
        guard acceptsPlain || isSealing else {
            throw .wrong("SESSION_PLAIN", value: "refuse", expected: "refuse only where SESSION_KEYS seal sessions")
        }
    }

    /// Whether new records are sealed, as there are keys and they are not only to open.
    package var isSealing: Bool { keyring != nil && seals }
}
