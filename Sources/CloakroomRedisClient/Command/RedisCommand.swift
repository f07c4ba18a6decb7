public import NIOCore

/// One command to Redis: its name, its arguments, and whether it may be sent twice.
///
/// `description` is the name alone: the arguments are secrets.
public struct RedisCommand: Sendable {
    /// One argument. Redis takes all of them as strings of bytes.
    public enum Argument: Sendable {
        case text(String)
        case bytes([UInt8])
        case buffer(ByteBuffer)
        case integer(Int)
    }

    let name: StaticString
    let arguments: [Argument]
    /// Whether sending it once more, after a connection was lost, leaves the same state and an equivalent reply.
    public let isIdempotent: Bool

    /// Makes a command.
    ///
    /// - Parameters:
    ///   - name: upper-case ASCII.
    ///   - arguments: in order.
    ///   - isIdempotent: see ``isIdempotent``.
    public init(_ name: StaticString, _ arguments: [Argument] = [], isIdempotent: Bool) {
        self.name = name
        self.arguments = arguments
        self.isIdempotent = isIdempotent
    }

    /// Writes the command as an array of strings.
    func encode(into buffer: inout ByteBuffer) {
        buffer.writeLine(prefix: UInt8(ascii: "*"), arguments.count + 1)
        buffer.writeLine(prefix: UInt8(ascii: "$"), name.utf8CodeUnitCount)
        buffer.writeStaticString(name)
        buffer.writeLineEnd()
        for argument in arguments {
            switch argument {
            case .text(let text):
                buffer.writeLine(prefix: UInt8(ascii: "$"), text.utf8.count)
                buffer.writeString(text)
            case .bytes(let bytes):
                buffer.writeLine(prefix: UInt8(ascii: "$"), bytes.count)
                buffer.writeBytes(bytes)
            case .buffer(let bytes):
                buffer.writeLine(prefix: UInt8(ascii: "$"), bytes.readableBytes)
                buffer.writeImmutableBuffer(bytes)
            case .integer(let number):
                let text = String(number)
                buffer.writeLine(prefix: UInt8(ascii: "$"), text.utf8.count)
                buffer.writeString(text)
            }
            buffer.writeLineEnd()
        }
    }
}

extension RedisCommand: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The command's name.
    public var description: String { name.description }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["name": name.description]) }
}

extension ByteBuffer {
    fileprivate mutating func writeLineEnd() {
        writeInteger(0x0D0A as UInt16)
    }

    /// Writes a type byte, a number that is not negative, and the line's end, without a detour through a `String`.
    fileprivate mutating func writeLine(prefix: UInt8, _ number: Int) {
        writeInteger(prefix)
        if number < 10 {
            writeInteger(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number))
        } else {
            var divisor = 10
            while divisor <= number / 10 { divisor *= 10 }
            while divisor > 0 {
                writeInteger(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
                divisor /= 10
            }
        }
        writeLineEnd()
    }
}
