import Cloakroom
import CloakroomRedis

/// The form in which `export` writes sessions, and `import` reads them: JSON lines.
///
/// - first: `{"cloakroom_sessions":1,"key_prefix":"session:","default_issuer":"https://…"}`, the last if it is known
/// - one for each session: `{"name":"…","record":"…","ends_at":1764230400000,"summary":"…","summary_ends_at":…}`: the name in
///   the key, the record as it is stored and, beside a sealed one, what lists need of it, both in base64url; the ends of
///   their keys in milliseconds of the Unix time
/// - last: `{"sessions":2}`, so that a file that was cut off can be told
enum SessionFile {
    static let version = 1
    /// The longest line that is read: a record of the largest size, in base64, and the rest.
    static let longestLine = 8 << 20

    struct Head: Equatable {
        let version: Int
        let keyPrefix: String
        let defaultIssuer: String?
    }

    enum Line: Equatable {
        case head(Head)
        case session(StoredSession)
        case end(count: Int)
    }

    static func head(keyPrefix: String, defaultIssuer: String?) -> [UInt8] {
        var object: JSONObject = ["cloakroom_sessions": .number("\(version)"), "key_prefix": .string(keyPrefix)]
        object["default_issuer"] = defaultIssuer.map { .string($0) }
        return line(object)
    }

    static func end(count: Int) -> [UInt8] { line(["sessions": .number("\(count)")]) }

    /// Written by hand: nothing in it needs an escape, and there may be a million of them.
    static func write(_ session: StoredSession, to out: inout [UInt8]) {
        out += #"{"name":""#.utf8
        out += session.name.text.utf8
        out += #"","record":""#.utf8
        out += Base64URL.encode(session.record).utf8
        out += #"","ends_at":"#.utf8
        out += "\(session.end)".utf8
        if let summary = session.summary {
            out += #","summary":""#.utf8
            out += Base64URL.encode(summary.record).utf8
            out += #"","summary_ends_at":"#.utf8
            out += "\(summary.end)".utf8
        }
        out += "}\n".utf8
    }

    /// - Throws: a ``Failure`` that says what is wrong with the line.
    static func read(_ bytes: [UInt8]) throws -> Line {
        let object = try self.object(bytes)
        if let version = object["cloakroom_sessions"]?.integer {
            guard let prefix = object["key_prefix"]?.string else { throw Failure("key_prefix is missing") }
            return .head(
                Head(version: version, keyPrefix: prefix, defaultIssuer: object["default_issuer"]?.string))
        }
        if let count = object["sessions"]?.integer { return .end(count: count) }
        return .session(try session(object))
    }

    /// The object in a line.
    static func object(_ bytes: [UInt8]) throws -> JSONObject {
        let value: JSONValue
        do throws(JSONParsingError) {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw Failure("it is no JSON: \(error)")
        }
        guard let object = value.object else { throw Failure("it is no JSON object") }
        return object
    }

    private static func session(_ object: JSONObject) throws -> StoredSession {
        guard let name = object["name"]?.string.flatMap({ RecordName($0) }) else {
            throw Failure("name is missing, or no session can have it")
        }
        guard let record = object["record"]?.string.flatMap({ Base64URL.decode($0) }), !record.isEmpty else {
            throw Failure("record is missing, or no base64url")
        }
        guard record.count <= RecordCodec.maximumSize else { throw Failure("the record is too large") }
        let end = try time("ends_at", object)
        var summary: StoredSession.Summary?
        if let text = object["summary"]?.string {
            guard let decoded = Base64URL.decode(text), decoded.count <= RecordCodec.maximumSize else {
                throw Failure("summary is no base64url, or too large")
            }
            let summaryEnd = object["summary_ends_at"] == nil ? end : try time("summary_ends_at", object)
            summary = StoredSession.Summary(record: decoded, end: summaryEnd)
        }
        return StoredSession(name: name, record: record, end: end, summary: summary)
    }

    private static func time(_ name: String, _ object: JSONObject) throws -> Int {
        // Up to the year 9999.
        guard let time = object[name]?.integer, time > 0, time < 253_402_300_800_000 else {
            throw Failure("\(name) is missing, or no time in milliseconds")
        }
        return time
    }

    private static func line(_ object: JSONObject) -> [UInt8] {
        JSONValue.object(object).serialized + [UInt8(ascii: "\n")]
    }
}
