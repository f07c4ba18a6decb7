import Cloakroom
import Foundation
public import Logging

/// Writes each log entry as one line to standard error, as text or as JSON.
///
/// Control characters from outside are escaped in both, so that no request can forge a line (OWASP ASVS 16.4.1).
public struct LineLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level
    public var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let format: GatewaySettings.LogFormat
    private let write: @Sendable (String) -> Void

    /// Makes a handler.
    ///
    /// - Parameters:
    ///   - label: the logger's label.
    ///   - level: the least that is written.
    ///   - format: text for people, JSON for collectors.
    ///   - write: takes each line, its newline included; standard error by default.
    public init(
        label: String, level: Logger.Level, format: GatewaySettings.LogFormat,
        write: (@Sendable (String) -> Void)? = nil
    ) {
        self.label = label
        self.logLevel = level
        self.format = format
        // A full disk or a collector that has gone away must not take the gateway with it: such a line is lost.
        self.write = write ?? { try? FileHandle.standardError.write(contentsOf: Data($0.utf8)) }
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var all = metadataProvider?.get() ?? [:]
        all.merge(metadata) { $1 }
        all.merge(event.metadata ?? [:]) { $1 }
        let members = all.sorted { $0.key < $1.key }.map { (Self.name($0.key), "\($0.value)") }
        let time = Date().formatted(.iso8601.year().month().day().time(includingFractionalSeconds: true)) + "Z"
        switch format {
        case .json:
            var object: JSONObject = [
                "time": .string(time), "level": .string(event.level.rawValue), "logger": .string(label),
                "message": .string("\(event.message)"),
            ]
            for (name, value) in members where object[name] == nil { object[name] = .string(value) }
            write(String(decoding: JSONValue.object(object).serialized, as: UTF8.self) + "\n")
        case .text:
            let level = event.level.rawValue.uppercased()
            let suffix = members.map { " \($0)=\(Self.quoted($1))" }.joined()
            write("\(time) \(level) \(Self.escaped("\(event.message)"))\(suffix)\n")
        }
    }

    /// Hummingbird's name for the request's ID is its own affair.
    private static func name(_ key: String) -> String {
        key == GatewayContext.requestIDKey ? "request_id" : escaped(key)
    }

    private static func quoted(_ value: String) -> String {
        guard value.isEmpty || value.utf8.contains(where: { " \"=\\".utf8.contains($0) }) else { return escaped(value) }
        // Backslashes too, or one before a quote would end the value early and let it forge the next.
        let quotable = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return "\"\(escaped(quotable))\""
    }

    private static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
        var out = ""
        for scalar in text.unicodeScalars {
            if scalar.properties.generalCategory == .control {
                out += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
