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
    /// Which argument is the key that says which node of a cluster carries the command out; of several keys, which must
    /// share a slot, the first. `nil` if any node can.
    public let keyIndex: Int?
    /// Whether sending it once more, after a connection was lost, leaves the same state and an equivalent reply.
    public let isIdempotent: Bool

    /// Makes a command.
    ///
    /// - Parameters:
    ///   - name: upper-case ASCII.
    ///   - arguments: in order.
    ///   - key: see ``keyIndex``.
    ///   - isIdempotent: see ``isIdempotent``.
    public init(_ name: StaticString, _ arguments: [Argument] = [], key: Int? = nil, isIdempotent: Bool) {
        self.name = name
        self.arguments = arguments
        self.keyIndex = key
        self.isIdempotent = isIdempotent
    }

    /// The slot of the key; `nil` without one.
    var slot: Int? {
        guard let keyIndex, arguments.indices.contains(keyIndex) else { return nil }
        return switch arguments[keyIndex] {
        case .text(let text): HashSlot.of(text)
        case .bytes(let bytes): bytes.withUnsafeBytes { HashSlot.of($0) }
        case .buffer(let bytes): bytes.withUnsafeReadableBytes { HashSlot.of($0) }
        case .integer(let number): HashSlot.of(String(number))
        }
    }

    /// Writes the command as an array of strings.
    func encode(into buffer: inout ByteBuffer) {
        var size = RawWriter.lineSize * (arguments.count + 2) + name.utf8CodeUnitCount + 2
        for argument in arguments { size += argument.maximumSize + 2 }
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { memory in
            var writer = RawWriter(memory: memory)
            writer.writeLine(prefix: UInt8(ascii: "*"), arguments.count + 1)
            writer.writeString(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
            for argument in arguments { argument.write(to: &writer) }
            return writer.count
        }
    }
}

extension RedisCommand.Argument {
    fileprivate var maximumSize: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        case .buffer(let bytes): bytes.readableBytes
        case .integer: 20
        }
    }

    fileprivate func write(to writer: inout RawWriter) {
        switch self {
        case .text(var text): text.withUTF8 { writer.writeString(UnsafeRawBufferPointer($0)) }
        case .bytes(let bytes): bytes.withUnsafeBytes { writer.writeString($0) }
        case .buffer(let bytes): bytes.withUnsafeReadableBytes { writer.writeString($0) }
        case .integer(let number):
            var text = String(number)
            text.withUTF8 { writer.writeString(UnsafeRawBufferPointer($0)) }
        }
    }
}

/// Writes RESP into memory that is known to be large enough: on the path of every command, a check of capacity and
/// uniqueness for each of its dozen small parts costs more than the writing.
private struct RawWriter {
    /// The most that a type byte, a number and a line's end take.
    static let lineSize = 1 + 20 + 2

    let memory: UnsafeMutableRawBufferPointer
    var count = 0

    mutating func writeString(_ bytes: UnsafeRawBufferPointer) {
        writeLine(prefix: UInt8(ascii: "$"), bytes.count)
        UnsafeMutableRawBufferPointer(rebasing: memory[count...]).copyMemory(from: bytes)
        count += bytes.count
        writeLineEnd()
    }

    /// Writes a number that is not negative.
    mutating func writeLine(prefix: UInt8, _ number: Int) {
        write(prefix)
        var divisor = 1
        while divisor <= number / 10 { divisor *= 10 }
        while divisor > 0 {
            write(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
        writeLineEnd()
    }

    private mutating func writeLineEnd() {
        write(0x0D)
        write(0x0A)
    }

    private mutating func write(_ byte: UInt8) {
        memory[count] = byte
        count += 1
    }
}

extension RedisCommand: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The command's name.
    public var description: String { name.description }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["name": name.description]) }
}
