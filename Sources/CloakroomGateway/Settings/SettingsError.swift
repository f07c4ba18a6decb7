import Foundation

/// A setting that is wrong or missing. Its description is one line that may be shown to anyone.
public struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The setting's name as in the environment, such as `REDIS_URL`.
    public let setting: String
    /// What is wrong with it and what would be right.
    public let reason: String

    /// A setting that must be given.
    static func missing(_ setting: String, expected: String) -> SettingsError {
        SettingsError(setting: setting, reason: "is missing; give \(expected)")
    }

    /// A setting whose value is wrong.
    ///
    /// - Parameter value: the value as it may be shown; callers pass secrets through ``redactedURL(_:)`` or leave them out.
    static func wrong(
        _ setting: String, value: String?, because: String? = nil, expected: String
    ) -> SettingsError {
        let shown = value.map { "\"\(singleLine($0))\"" } ?? "(a secret, not shown)"
        let detail = because.map { ": \(singleLine($0))" } ?? ""
        return SettingsError(setting: setting, reason: "is \(shown)\(detail); it must be \(expected)")
    }

    public var description: String { "\(setting) \(reason)" }

    /// A URL with whatever might be a password replaced.
    static func redactedURL(_ text: String) -> String {
        guard let at = text.lastIndex(of: "@") else { return text }
        let scheme = text.range(of: "://").map { String(text[..<$0.upperBound]) } ?? ""
        return scheme + "***" + text[at...]
    }

    /// A value from outside, bounded and without anything that could break or forge a line.
    private static func singleLine(_ text: String) -> String {
        let bounded = text.unicodeScalars.prefix(200)
        let clean = String(
            String.UnicodeScalarView(
                bounded.map { $0.properties.generalCategory == .control || $0 == "\u{2028}" || $0 == "\u{2029}" ? "?" : $0 }
            ))
        return bounded.count < text.unicodeScalars.count ? clean + "…" : clean
    }
}
