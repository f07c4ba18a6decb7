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

    /// The same error, with the place where the value stands.
    func found(in place: String) -> SettingsError {
        SettingsError(setting: setting, reason: "\(reason) (\(Self.singleLine(place)))")
    }

    /// A text from outside in quotes, bounded and without anything that could break or forge a line.
    static func quoted(_ text: String) -> String { "\"\(singleLine(text))\"" }

    /// A URL with whatever might be a password replaced: all from the first `?` or `#`, what stands before the last `@`, or,
    /// where a `@` may have been forgotten, what stands in the port's place and is no port.
    static func redactedURL(_ text: String) -> String {
        if let end = text.firstIndex(where: { $0 == "?" || $0 == "#" }) {
            return redactedURL(String(text[..<end])) + "\(text[end])***"
        }
        let start = text.range(of: "://")?.upperBound ?? text.startIndex
        let scheme = text[..<start]
        if let at = text.lastIndex(of: "@") { return scheme + "***" + text[at...] }
        guard let colon = text[start...].firstIndex(of: ":") else { return text }
        let port = text[text.index(after: colon)...].prefix { $0 != "/" }
        return port.allSatisfy(\.isNumber) ? text : text[...colon] + "***"
    }

    /// A value from outside, bounded and without anything that could break or forge a line.
    private static func singleLine(_ text: String) -> String {
        let bounded = text.unicodeScalars.prefix(200)
        let clean = String(
            String.UnicodeScalarView(
                bounded.map {
                    $0.properties.generalCategory == .control || $0 == "\u{2028}" || $0 == "\u{2029}" ? "?" : $0
                }
            ))
        return bounded.count < text.unicodeScalars.count ? clean + "…" : clean
    }
}
