#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Why bytes were refused as JSON. Holds positions, never content.
public struct JSONParsingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was wrong, in a few fixed words.
    public let reason: String
    /// The byte at which it was noticed, counted from 0.
    public let offset: Int

    public var description: String { "\(reason) at byte \(offset)" }
}

extension JSONValue {
    /// How deep arrays and objects may nest.
    public static let maximumDepth = 32

    /// Reads one JSON text (RFC 8259), UTF-8, with nothing but white space around it.
    ///
    /// - Parameter bytes: the text; callers bound its length.
    /// - Throws: ``JSONParsingError`` at the first byte that does not fit, including invalid UTF-8, and at nesting deeper
    ///   than ``maximumDepth``.
    public init(parsing bytes: [UInt8]) throws(JSONParsingError) {
        self = try bytes.withUnsafeBufferPointer { (buffer) throws(JSONParsingError) in
            try JSONValue(parsing: UnsafeRawBufferPointer(buffer))
        }
    }

    /// Reads one JSON text from memory that the caller keeps alive for the call.
    package init(
        parsing raw: UnsafeRawBufferPointer, maximumDepth: Int = JSONValue.maximumDepth
    ) throws(JSONParsingError) {
        var parser = JSONParser(bytes: raw, maximumDepth: maximumDepth)
        self = try parser.parseDocument()
    }
}

/// A recursive-descent parser whose depth is bounded. It exists because Foundation's decoder turns numbers into doubles,
/// drops the order of members and takes several times as long on the path of every session read.
private struct JSONParser {
    let bytes: UnsafeRawBufferPointer
    let maximumDepth: Int
    var position = 0

    mutating func parseDocument() throws(JSONParsingError) -> JSONValue {
        skipWhitespace()
        let value = try parseValue(depth: 0)
        skipWhitespace()
        guard position == bytes.count else { throw failure("trailing content") }
        return value
    }

    private func failure(_ reason: String) -> JSONParsingError {
        JSONParsingError(reason: reason, offset: position)
    }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private mutating func parseValue(depth: Int) throws(JSONParsingError) -> JSONValue {
        guard position < bytes.count else { throw failure("unexpected end") }
        switch bytes[position] {
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "{"): return try parseObject(depth: depth + 1)
        case UInt8(ascii: "["): return try parseArray(depth: depth + 1)
        case UInt8(ascii: "t"): return try parseLiteral("true", as: .bool(true))
        case UInt8(ascii: "f"): return try parseLiteral("false", as: .bool(false))
        case UInt8(ascii: "n"): return try parseLiteral("null", as: .null)
        default: return try parseNumber()
        }
    }

    private mutating func parseLiteral(_ text: StaticString, as value: JSONValue) throws(JSONParsingError) -> JSONValue
    {
        guard position + text.utf8CodeUnitCount <= bytes.count else { throw failure("unexpected end") }
        for index in 0..<text.utf8CodeUnitCount where bytes[position + index] != text.utf8Start[index] {
            throw failure("unexpected character")
        }
        position += text.utf8CodeUnitCount
        return value
    }

    private mutating func parseArray(depth: Int) throws(JSONParsingError) -> JSONValue {
        guard depth <= maximumDepth else { throw failure("nested too deep") }
        position += 1
        var elements: [JSONValue] = []
        skipWhitespace()
        if try consumeIfNext(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            skipWhitespace()
            elements.append(try parseValue(depth: depth))
            skipWhitespace()
            if try consumeIfNext(UInt8(ascii: "]")) { return .array(elements) }
            try consume(UInt8(ascii: ","))
        }
    }

    private mutating func parseObject(depth: Int) throws(JSONParsingError) -> JSONValue {
        guard depth <= maximumDepth else { throw failure("nested too deep") }
        position += 1
        var members: [JSONObject.Member] = []
        skipWhitespace()
        if try consumeIfNext(UInt8(ascii: "}")) { return .object([:]) }
        while true {
            skipWhitespace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw failure("expected a member name")
            }
            let name = try parseString()
            skipWhitespace()
            try consume(UInt8(ascii: ":"))
            skipWhitespace()
            members.append(JSONObject.Member(name: name, value: try parseValue(depth: depth)))
            skipWhitespace()
            if try consumeIfNext(UInt8(ascii: "}")) { return .object(JSONObject(lastWins: members)) }
            try consume(UInt8(ascii: ","))
        }
    }

    private mutating func consumeIfNext(_ byte: UInt8) throws(JSONParsingError) -> Bool {
        guard position < bytes.count else { throw failure("unexpected end") }
        guard bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func consume(_ byte: UInt8) throws(JSONParsingError) {
        guard try consumeIfNext(byte) else { throw failure("unexpected character") }
    }

    private mutating func parseNumber() throws(JSONParsingError) -> JSONValue {
        let start = position
        if peek() == UInt8(ascii: "-") { position += 1 }
        if peek() == UInt8(ascii: "0") {
            position += 1
        } else {
            try skipDigits()
        }
        if peek() == UInt8(ascii: ".") {
            position += 1
            try skipDigits()
        }
        if let byte = peek(), byte | 0x20 == UInt8(ascii: "e") {
            position += 1
            if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
            try skipDigits()
        }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipDigits() throws(JSONParsingError) {
        let start = position
        while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        guard position > start else { throw failure("expected a value") }
    }

    private mutating func parseString() throws(JSONParsingError) -> String {
        position += 1
        let start = position
        position = JSONText.endOfPlainText(in: bytes, from: position)
        guard let byte = peek() else { throw failure("unexpected end") }
        switch byte {
        case UInt8(ascii: "\""):
            let text = try validated(UnsafeRawBufferPointer(rebasing: bytes[start..<position]), at: start)
            position += 1
            return text
        case UInt8(ascii: "\\"): return try parseEscapedString(from: start)
        default: throw failure("control character in a string")
        }
    }

    /// The slow path, for strings with at least one escape.
    private mutating func parseEscapedString(from start: Int) throws(JSONParsingError) -> String {
        var text = [UInt8](bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                return try text.withUnsafeBufferPointer { (buffer) throws(JSONParsingError) in
                    try validated(UnsafeRawBufferPointer(buffer), at: start)
                }
            case UInt8(ascii: "\\"):
                try appendEscape(to: &text)
            case 0..<0x20:
                throw failure("control character in a string")
            default:
                text.append(byte)
            }
        }
        throw failure("unexpected end")
    }

    private mutating func appendEscape(to text: inout [UInt8]) throws(JSONParsingError) {
        guard let escape = peek() else { throw failure("unexpected end") }
        position += 1
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(escape)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: String(try parseUnicodeEscape()).utf8)
        default: throw failure("unknown escape")
        }
    }

    private mutating func parseUnicodeEscape() throws(JSONParsingError) -> Character {
        let first = try parseFourHexDigits()
        if let scalar = Unicode.Scalar(first) { return Character(scalar) }
        // A surrogate pair (RFC 8259 §7); a lone half is no text.
        guard (0xD800...0xDBFF).contains(first), peek() == UInt8(ascii: "\\") else { throw failure("lone surrogate") }
        position += 1
        guard peek() == UInt8(ascii: "u") else { throw failure("lone surrogate") }
        position += 1
        let second = try parseFourHexDigits()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        else { throw failure("lone surrogate") }
        return Character(scalar)
    }

    private mutating func parseFourHexDigits() throws(JSONParsingError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw failure("expected four hex digits")
            }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }

    private func validated(_ raw: UnsafeRawBufferPointer, at offset: Int) throws(JSONParsingError) -> String {
        // What is invalid is replaced on the way, and so no longer the same: several times as fast as
        // `String(validating:as:)`, which is not specialized for UTF-8.
        let text = raw.withMemoryRebound(to: UInt8.self) { String(decoding: $0, as: UTF8.self) }
        let isSame = text.utf8.withContiguousStorageIfAvailable { bytes in
            guard bytes.count == raw.count else { return false }
            guard let ours = bytes.baseAddress, let theirs = raw.baseAddress else { return raw.isEmpty }
            return memcmp(ours, theirs, raw.count) == 0
        }
        guard isSame == true else { throw JSONParsingError(reason: "invalid UTF-8", offset: offset) }
        return text
    }
}

extension JSONObject {
    /// Takes members as they were read; of those with one name the last wins.
    fileprivate init(lastWins members: [Member]) {
        if members.count <= 16 {
            let distinct = members.indices.allSatisfy { index in
                !members[(index + 1)...].contains { $0.name == members[index].name }
            }
            if distinct {
                self.init(distinct: members)
                return
            }
        }
        // Many members, or repeated ones: one pass with a table, as a walk for each would be quadratic.
        var indices: [String: Int] = [:]
        var kept: [Member] = []
        for member in members {
            if let index = indices[member.name] {
                kept[index] = member
            } else {
                indices[member.name] = kept.count
                kept.append(member)
            }
        }
        self.init(distinct: kept)
    }
}
