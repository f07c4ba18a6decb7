import Cloakroom
import Foundation
public import Logging

/// Writes each log entry as one line, as text or as JSON.
///
/// Control characters from outside are escaped in both, so that no request can forge a line (OWASP ASVS 16.4.1).
public struct LineLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level
    public var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let format: GatewaySettings.LogFormat
    /// Takes lines.
    private let write: @Sendable (String) -> Void
    /// What `write` writes to, if lines can be given to it as bytes.
    private let writer: LogWriter?

    /// Makes a handler.
    ///
    /// - Parameters:
    ///   - label: the logger's label.
    ///   - level: the least that is written.
    ///   - format: text for people, JSON for collectors.
    ///   - write: takes each line, its newline included, as ``LogWriter`` does.
    public init(
        label: String, level: Logger.Level, format: GatewaySettings.LogFormat,
        write: @escaping @Sendable (String) -> Void
    ) {
        self.label = label
        self.logLevel = level
        self.format = format
        self.write = write
        writer = nil
    }

    /// Makes a handler.
    ///
    /// - Parameters:
    ///   - label: the logger's label.
    ///   - level: the least that is written.
    ///   - format: text for people, JSON for collectors.
    ///   - writer: writes the lines.
    public init(label: String, level: Logger.Level, format: GatewaySettings.LogFormat, writer: LogWriter) {
        self.label = label
        self.logLevel = level
        self.format = format
        self.writer = writer
        write = { writer.write($0) }
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var all = metadataProvider?.get() ?? [:]
        all.merge(metadata) { $1 }
        all.merge(event.metadata ?? [:]) { $1 }
        let members = all.sorted { $0.key < $1.key }.map { (Self.escaped($0.key), "\($0.value)") }
        write(Self.line(format, event.level, label: label, "\(event.message)", members))
    }

    /// Whether lines are written by another thread anyhow.
    var isBuffered: Bool { writer != nil }

    /// Writes whole lines in UTF-8.
    func write(lines: [UInt8]) {
        if let writer { writer.write(lines: lines) } else { write(String(decoding: lines, as: UTF8.self)) }
    }

    /// Whether it adds nothing to what it is given, and has a name that need not be escaped.
    private var isPlain: Bool {
        metadata.isEmpty && metadataProvider == nil
            && label.utf8.allSatisfy {
                (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
            }
    }

    /// What writes lines of requests as this handler would; `nil` if it adds something of its own to them.
    var requestLine: RequestLine? { isPlain ? RequestLine(format: format, label: label) : nil }

    /// A time as lines have it.
    static func time(_ now: Date) -> String {
        let milliseconds = Int((now.timeIntervalSince1970 * 1000).rounded(.down)) % 1000
        let digits = String(milliseconds + 1000).dropFirst()
        return Timestamp.format(now) + "." + digits + "Z"
    }

    static func line(
        _ format: GatewaySettings.LogFormat, _ level: Logger.Level, label: String, _ message: String,
        _ members: [(String, String)], _ now: Date = Date()
    ) -> String {
        let time = time(now)
        switch format {
        case .json:
            var object: JSONObject = [
                "time": .string(time), "level": .string(level.rawValue), "logger": .string(label),
                "message": .string(message),
            ]
            for (name, value) in members where object[name] == nil { object[name] = .string(value) }
            return String(decoding: JSONValue.object(object).serialized, as: UTF8.self) + "\n"
        case .text:
            let suffix = members.map { " \($0)=\(quoted($1))" }.joined()
            return "\(time) \(level.rawValue.uppercased()) \(escaped(message))\(suffix)\n"
        }
    }

    private static func quoted(_ value: String) -> String {
        guard value.isEmpty || value.utf8.contains(where: { " \"=\\".utf8.contains($0) }) else { return escaped(value) }
        // Backslashes too, or one before a quote would end the value early and let it forge the next.
        return "\"\(escaped(value, isQuoted: true))\""
    }

    /// By Unicode scalars, not characters: a quote or newline with a combining mark is another character, but still a quote
    /// or newline to whoever reads the line.
    private static func escaped(_ text: String, isQuoted: Bool = false) -> String {
        guard text.unicodeScalars.contains(where: { isUnfit($0, isQuoted: isQuoted) }) else { return text }
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"" where isQuoted: out += #"\""#
            case "\\" where isQuoted: out += #"\\"#
            case _ where isUnfit(scalar, isQuoted: false): out += "\\u{" + String(scalar.value, radix: 16) + "}"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// Text from outside as it may be shown: what could move the cursor, or turn the direction of the text, is an escape.
    package static func visible(_ text: String) -> String { escaped(text) }

    /// Whether a terminal may take a character for more than a sign to show.
    package static func isUnfit(_ scalar: Unicode.Scalar) -> Bool { isUnfit(scalar, isQuoted: false) }

    private static func isUnfit(_ scalar: Unicode.Scalar, isQuoted: Bool) -> Bool {
        if scalar.isASCII {
            return scalar.value < 0x20 || scalar.value == 0x7F || (isQuoted && (scalar == "\"" || scalar == "\\"))
        }
        // What ends a line, or turns the direction in which a terminal writes it.
        return switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
