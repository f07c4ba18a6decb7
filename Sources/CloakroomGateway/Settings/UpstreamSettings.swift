import Configuration

/// How many requests may be with the upstream at once.
public struct UpstreamSettings: Sendable, Equatable {
    /// In all (`UPSTREAM_MAX_CONCURRENT`), 1 to 10,000.
    public var maximumConcurrent = 512
    /// Of one session (`UPSTREAM_MAX_CONCURRENT_PER_SESSION`), 1 to 10,000.
    public var maximumConcurrentPerSession = 128

    /// The defaults.
    public init() {}

    private static let form = "a number from 1 to 10000"

    init(reading reader: ConfigReader) throws(SettingsError) {
        self.init()
        maximumConcurrent =
            try reader.value("upstream.max.concurrent", "UPSTREAM_MAX_CONCURRENT", Self.form) { Int($0) }
            ?? maximumConcurrent
        maximumConcurrentPerSession =
            try reader.value(
                "upstream.max.concurrent.per.session", "UPSTREAM_MAX_CONCURRENT_PER_SESSION", Self.form
            ) { Int($0) } ?? maximumConcurrentPerSession
    }

    func validate() throws(SettingsError) {
        for (name, value) in [
            ("UPSTREAM_MAX_CONCURRENT", maximumConcurrent),
            ("UPSTREAM_MAX_CONCURRENT_PER_SESSION", maximumConcurrentPerSession),
        ] {
            guard (1...10_000).contains(value) else { throw .wrong(name, value: "\(value)", expected: Self.form) }
        }
    }
}
