import Cloakroom

/// Reads MessagePack, in which Flask-Session keeps sessions, as far as JSON can say the same.
struct MessagePack {
    private static let maximumDepth = 16

    private let bytes: [UInt8]
    private var position = 0

    /// The value of a whole message.
    ///
    /// - Returns: `nil` for what is no message, or is nested too deep.
    static func decode(_ bytes: [UInt8]) -> JSONValue? {
        var reader = MessagePack(bytes: bytes)
        guard let value = reader.value(depth: 0), reader.position == bytes.count else { return nil }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func value(depth: Int) -> JSONValue? {
        guard depth <= Self.maximumDepth, let kind = number(1) else { return nil }
        switch UInt8(kind) {
        case 0x00...0x7F: return .number("\(kind)")
        case 0x80...0x8F: return map(Int(kind & 0x0F), depth)
        case 0x90...0x9F: return array(Int(kind & 0x0F), depth)
        case 0xA0...0xBF: return text(Int(kind & 0x1F))
        case 0xC0: return .null
        case 0xC2: return .bool(false)
        case 0xC3: return .bool(true)
        case 0xC4, 0xC5, 0xC6: return sized(1 << (kind - 0xC4)).flatMap { text($0) }
        case 0xC7, 0xC8, 0xC9: return sized(1 << (kind - 0xC7)).flatMap { foreign($0) }
        case 0xCA: return number(4).map { Self.json(Double(Float(bitPattern: UInt32($0)))) }
        case 0xCB: return number(8).map { Self.json(Double(bitPattern: $0)) }
        case 0xCC...0xCF: return number(1 << (kind - 0xCC)).map { .number("\($0)") }
        case 0xD0: return number(1).map { .number("\(Int8(truncatingIfNeeded: $0))") }
        case 0xD1: return number(2).map { .number("\(Int16(truncatingIfNeeded: $0))") }
        case 0xD2: return number(4).map { .number("\(Int32(truncatingIfNeeded: $0))") }
        case 0xD3: return number(8).map { .number("\(Int64(bitPattern: $0))") }
        case 0xD4...0xD8: return foreign(1 << (kind - 0xD4))
        case 0xD9, 0xDA, 0xDB: return sized(1 << (kind - 0xD9)).flatMap { text($0) }
        case 0xDC, 0xDD: return sized(kind == 0xDC ? 2 : 4).flatMap { array($0, depth) }
        case 0xDE, 0xDF: return sized(kind == 0xDE ? 2 : 4).flatMap { map($0, depth) }
        case 0xE0...0xFF: return .number("\(Int8(bitPattern: UInt8(kind)))")
        default: return nil
        }
    }

    /// A number of so many bytes, without a sign.
    private mutating func number(_ size: Int) -> UInt64? {
        guard size <= bytes.count - position else { return nil }
        defer { position += size }
        return bytes[position..<position + size].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A count, of which there can't be more than there are bytes.
    private mutating func sized(_ size: Int) -> Int? {
        number(size).flatMap { $0 <= UInt64(bytes.count - position) ? Int($0) : nil }
    }

    private mutating func text(_ size: Int) -> JSONValue? {
        guard size <= bytes.count - position else { return nil }
        defer { position += size }
        // Bytes that are no text have no place in a session.
        return String(validating: bytes[position..<position + size], as: UTF8.self).map { .string($0) } ?? .null
    }

    /// A type of the application's own, such as a time.
    private mutating func foreign(_ size: Int) -> JSONValue? {
        guard size < bytes.count - position else { return nil }
        position += 1 + size
        return .null
    }

    private mutating func array(_ count: Int, _ depth: Int) -> JSONValue? {
        var elements: [JSONValue] = []
        for _ in 0..<count {
            guard let element = value(depth: depth + 1) else { return nil }
            elements.append(element)
        }
        return .array(elements)
    }

    private mutating func map(_ count: Int, _ depth: Int) -> JSONValue? {
        var members: [(String, JSONValue)] = []
        for _ in 0..<count {
            guard let name = value(depth: depth + 1), let value = value(depth: depth + 1) else { return nil }
            // Other names than text have no place in JSON.
            if let name = name.string { members.append((name, value)) }
        }
        return .object(JSONObject(members))
    }

    private static func json(_ number: Double) -> JSONValue { number.isFinite ? .number("\(number)") : .null }
}
