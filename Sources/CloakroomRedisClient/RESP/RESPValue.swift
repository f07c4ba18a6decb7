public import NIOCore

/// A reply or push as Redis sent it (RESP3).
///
/// `description` names the kind and size only: a reply may be a secret.
public enum RESPValue: Sendable, Equatable {
    case null
    case simpleString(String)
    case error(RedisServerError)
    case number(Int64)
    case double(Double)
    case boolean(Bool)
    case bigNumber(String)
    /// A string of bytes, a slice of what was received.
    case bulk(ByteBuffer)
    case array([RESPValue])
    case set([RESPValue])
    /// Keys and values in turn.
    case map([RESPValue])
    /// A message that no command asked for.
    case push([RESPValue])
    /// A string longer than ``RESPLimits/bulkSize``, which was thrown away as it came in.
    case oversized(bytes: Int)
}

extension RESPValue: CustomStringConvertible, CustomDebugStringConvertible {
    public var description: String {
        switch self {
        case .null: "null"
        case .simpleString(let text): "simple string of \(text.utf8.count) bytes"
        case .error(let error): error.description
        case .number: "number"
        case .double: "double"
        case .boolean: "boolean"
        case .bigNumber: "big number"
        case .bulk(let buffer): "string of \(buffer.readableBytes) bytes"
        case .array(let elements): "array of \(elements.count)"
        case .set(let elements): "set of \(elements.count)"
        case .map(let elements): "map of \(elements.count / 2)"
        case .push(let elements): "push of \(elements.count)"
        case .oversized(let bytes): "string of \(bytes) bytes, over the limit"
        }
    }

    public var debugDescription: String { description }
}

/// How much a server may make us hold. What goes beyond closes the connection, except a long string, which is skipped.
public struct RESPLimits: Sendable, Equatable {
    /// The longest string that is kept, in bytes; a longer one is skipped and reported as ``RESPValue/oversized(bytes:)``.
    public var bulkSize = 16 << 20
    /// The longest string that is skipped, in bytes; Redis' own limit.
    public var skippedBulkSize = 512 << 20
    /// The longest line (simple string, error, number, length), in bytes.
    public var lineLength = 65_536
    /// How deep replies may nest.
    public var depth = 16
    /// How many elements one reply may have in all.
    public var elements = 1 << 20
    /// How many bytes one reply may have in all, skipped ones not counted.
    public var replySize = 64 << 20

    /// The defaults.
    public init() {}
}

/// A server that does not speak RESP, or not within ``RESPLimits``.
enum RESPError: Error, Sendable, Equatable, CustomStringConvertible {
    case unknownType(UInt8)
    case malformedNumber
    case malformedLineEnd
    case invalidLength
    case streamedType
    case misplacedPush
    case lineTooLong
    case stringTooLong
    case tooManyElements
    case nestedTooDeep
    case replyTooLarge

    var description: String {
        switch self {
        case .unknownType(let byte): "unknown type byte \(byte)"
        case .malformedNumber: "malformed number"
        case .malformedLineEnd: "malformed line end"
        case .invalidLength: "invalid length"
        case .streamedType: "streamed type, which Redis does not send"
        case .misplacedPush: "push inside a reply"
        case .lineTooLong: "line too long"
        case .stringTooLong: "string too long"
        case .tooManyElements: "too many elements"
        case .nestedTooDeep: "nested too deep"
        case .replyTooLarge: "reply too large"
        }
    }
}
