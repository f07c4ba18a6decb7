public import NIOCore

/// The fields of a head, as ranges of its bytes: nothing is copied or decoded until someone asks for it.
///
/// Public for the reason that ``Octets`` is.
public struct FieldLines: Sendable {
    /// Where one field stands.
    public struct Line: Sendable {
        @usableFromInline let nameStart: UInt32
        @usableFromInline let nameEnd: UInt32
        @usableFromInline let valueStart: UInt32
        @usableFromInline let valueEnd: UInt32

        /// The bytes of its name.
        @inlinable @inline(__always)
        public var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
        /// The bytes of its value, without spaces around it.
        @inlinable @inline(__always)
        public var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
        /// The bytes from its name to the end of its value.
        @inlinable @inline(__always)
        public var whole: Range<Int> { Int(nameStart)..<Int(valueEnd) }
    }

    /// The whole head.
    public let bytes: ByteBuffer
    /// In the order in which they came.
    public let lines: [Line]

    /// Calls `body` with the head's bytes, to which the ranges of the lines belong.
    @inlinable @inline(__always)
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeReadableBytes(body)
    }

    /// Some of the head's bytes as text. Bytes that are no UTF-8 become replacement characters.
    package func text(_ range: Range<Int>) -> String {
        withBytes { String(decoding: UnsafeRawBufferPointer(rebasing: $0[range]), as: UTF8.self) }
    }

    /// The values of all fields of this name, which must be in lower case.
    package func values(_ name: StaticString) -> [String] {
        withBytes { bytes in
            lines.filter { Octets.equal(bytes, $0.name, lowercase: name) }.map {
                String(decoding: UnsafeRawBufferPointer(rebasing: bytes[$0.value]), as: UTF8.self)
            }
        }
    }
}

/// Reads field lines out of a head.
enum FieldParser {
    /// - Parameter start: where the first field begins; the empty line that ends the head is the last thing in `bytes`.
    static func parse(
        _ bytes: UnsafeRawBufferPointer, from start: Int, most: Int, into lines: inout [FieldLines.Line]
    ) throws(HTTP1Failure) {
        let end = bytes.count - 2
        var index = start
        while index < end {
            guard lines.count < most else { throw .headTooLarge }
            let line = try line(bytes, from: index, end: end)
            lines.append(line.line)
            index = line.next
        }
    }

    /// Reads one line, which must be whole and end with CR LF.
    @inline(__always)
    static func line(
        _ bytes: UnsafeRawBufferPointer, from start: Int, end: Int
    ) throws(HTTP1Failure) -> (line: FieldLines.Line, next: Int) {
        var colon = start
        while colon < end, Octets.isToken(bytes[colon]) { colon += 1 }
        guard colon > start, colon < end, bytes[colon] == Octets.colon else {
            let isFolded = bytes[start] == Octets.space || bytes[start] == Octets.tab
            throw .malformed(isFolded ? .foldedField : .fieldName)
        }
        guard let feed = memoryIndex(of: Octets.lineFeed, in: bytes, from: colon + 1),
            bytes[feed - 1] == Octets.carriageReturn
        else { throw .malformed(.lineEnd) }
        let value = Octets.trimmed(bytes, colon + 1..<feed - 1)
        guard Octets.areFieldValue(bytes, value.lowerBound, value.upperBound) else { throw .malformed(.fieldValue) }
        return (
            FieldLines.Line(
                nameStart: UInt32(start), nameEnd: UInt32(colon), valueStart: UInt32(value.lowerBound),
                valueEnd: UInt32(value.upperBound)), feed + 1
        )
    }
}
