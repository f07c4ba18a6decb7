public import Cloakroom
import Configuration

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

    private static let thresholdForm = "a size from 0 to 1M, for example 1024"

    init(reading reader: ConfigReader) throws(SettingsError) {
        self.init()
        if let text = reader.text("session.keys", isSecret: true) {
            do throws(SessionKeyringError) {
                keyring = try SessionKeyring(text)
            } catch {
                throw .wrong(
                    "SESSION_KEYS", value: nil, because: error.description,
                    expected: "keys as \"cloakroom keys generate\" makes them, separated by commas")
            }
        }
        if let given = try reader.truth("session.seal", "SESSION_SEAL") {
            guard keyring != nil else {
                throw .wrong("SESSION_SEAL", value: "\(given)", expected: "absent, or given with SESSION_KEYS")
            }
            seals = given
        }
        let plain = try reader.value("session.plain", "SESSION_PLAIN", "accept or refuse") { text -> Bool? in
            switch text.lowercased() {
            case "accept": true
            case "refuse": false
            default: nil
            }
        }
        acceptsPlain = plain ?? acceptsPlain
        compression =
            try reader.value("session.compression", "SESSION_COMPRESSION", "off or gzip") {
                Compression(rawValue: $0.lowercased())
            } ?? compression
        compressionThreshold =
            try reader.value(
                "session.compression.threshold", "SESSION_COMPRESSION_THRESHOLD", Self.thresholdForm,
                SettingsSize.parse) ?? compressionThreshold
    }

    func validate() throws(SettingsError) {
        guard acceptsPlain || isSealing else {
            throw .wrong("SESSION_PLAIN", value: "refuse", expected: "refuse only where SESSION_KEYS seal sessions")
        }
        guard (0...1 << 20).contains(compressionThreshold) else {
            throw .wrong(
                "SESSION_COMPRESSION_THRESHOLD", value: "\(compressionThreshold)", expected: Self.thresholdForm)
        }
    }

    /// Whether new records are sealed, as there are keys and they are not only to open.
    var isSealing: Bool { keyring != nil && seals }
}
