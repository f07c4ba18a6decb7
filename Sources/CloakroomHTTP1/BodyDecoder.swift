package import NIOCore

/// A piece of a message's body.
package enum BodyPart: Sendable, Equatable {
    /// Some of its content, without any framing.
    case data(ByteBuffer)
    /// The body is whole.
    case end
}

/// Finds the content and the end of a body (RFC 9112 §6, §7.1). It keeps nothing: what it can't use yet stays in the buffer
/// that it is given, and that is never more than one line.
package struct BodyDecoder: Sendable {
    private enum State: Sendable {
        case bytes(Int)
        /// All bytes of a length have come, or there are none.
        case complete
        case untilClose
        case chunkSize
        case chunk(Int)
        case chunkEnd
        /// How many bytes of trailers there were.
        case trailers(Int)
        case over
    }

    /// Chunk extensions mean nothing to anybody here; more of them than this is an attack.
    private static let longestSizeLine = 256
    private static let mostDigits = 15

    private var state: State
    private let longestTrailer: Int

    package init(_ framing: BodyFraming, longestTrailer: Int = HTTP1Limits().trailer) {
        self.longestTrailer = longestTrailer
        switch framing {
        case .none: state = .complete
        case .length(let count): state = count > 0 ? .bytes(count) : .complete
        case .chunked: state = .chunkSize
        case .untilClose: state = .untilClose
        }
    }

    /// Takes the next part out of the buffer.
    ///
    /// - Returns: `nil` when more bytes are needed. ``BodyPart/end`` comes once, and then `nil`.
    package mutating func next(_ buffer: inout ByteBuffer) throws(HTTP1Failure) -> BodyPart? {
        while true {
            switch state {
            case .over: return nil
            case .bytes(let left):
                guard let data = Self.take(left, &buffer) else { return nil }
                state = data.readableBytes == left ? .complete : .bytes(left - data.readableBytes)
                return .data(data)
            case .complete:
                state = .over
                return .end
            case .untilClose:
                return Self.take(.max, &buffer).map { .data($0) }
            case .chunkSize:
                guard let size = try Self.chunkSize(&buffer) else { return nil }
                state = size > 0 ? .chunk(size) : .trailers(0)
            case .chunk(let left):
                guard let data = Self.take(left, &buffer) else { return nil }
                state = data.readableBytes == left ? .chunkEnd : .chunk(left - data.readableBytes)
                return .data(data)
            case .chunkEnd:
                guard try Self.lineEnd(&buffer) else { return nil }
                state = .chunkSize
            case .trailers(let count):
                guard let line = try trailer(&buffer, after: count) else { return nil }
                guard line > 2 else {
                    state = .over
                    return .end
                }
                state = .trailers(count + line)
            }
        }
    }

    /// The other side has closed.
    ///
    /// - Returns: whether that was the end of the body.
    package mutating func finish() -> Bool {
        switch state {
        case .untilClose:
            state = .over
            return true
        case .over: return true
        default: return false
        }
    }

    @inline(__always)
    private static func take(_ most: Int, _ buffer: inout ByteBuffer) -> ByteBuffer? {
        let count = min(most, buffer.readableBytes)
        return count > 0 ? buffer.readSlice(length: count) : nil
    }

    /// `chunk-size [ chunk-ext ] CRLF`
    private static func chunkSize(_ buffer: inout ByteBuffer) throws(HTTP1Failure) -> Int? {
        let result = buffer.withUnsafeReadableBytes { bytes -> Result<(size: Int, length: Int)?, HTTP1Failure> in
            var (index, size) = (0, 0)
            while index < bytes.count, let digit = Octets.hexValue(bytes[index]) {
                guard index < mostDigits else { return .failure(.malformed(.chunkSize)) }
                size = size << 4 | digit
                index += 1
            }
            guard index < bytes.count else { return .success(nil) }
            guard index > 0 else { return .failure(.malformed(.chunkSize)) }
            if bytes[index] != Octets.carriageReturn {
                // An extension begins with a semicolon; spaces before it are what some servers take and others do not.
                guard bytes[index] == UInt8(ascii: ";") else { return .failure(.malformed(.chunkSize)) }
                while index < bytes.count, Octets.isFieldValue(bytes[index]) {
                    index += 1
                    guard index < longestSizeLine else { return .failure(.malformed(.chunkSize)) }
                }
                guard index < bytes.count else { return .success(nil) }
                guard bytes[index] == Octets.carriageReturn else { return .failure(.malformed(.chunkSize)) }
            }
            guard index + 1 < bytes.count else { return .success(nil) }
            guard bytes[index + 1] == Octets.lineFeed else { return .failure(.malformed(.chunkSize)) }
            return .success((size, index + 2))
        }
        guard let found = try result.get() else { return nil }
        buffer.moveReaderIndex(forwardBy: found.length)
        return found.size
    }

    private static func lineEnd(_ buffer: inout ByteBuffer) throws(HTTP1Failure) -> Bool {
        guard let first: UInt8 = buffer.getInteger(at: buffer.readerIndex) else { return false }
        guard first == Octets.carriageReturn else { throw .malformed(.chunkEnd) }
        guard let second: UInt8 = buffer.getInteger(at: buffer.readerIndex + 1) else { return false }
        guard second == Octets.lineFeed else { throw .malformed(.chunkEnd) }
        buffer.moveReaderIndex(forwardBy: 2)
        return true
    }

    /// Reads one line of the trailer section and forgets it: nothing here may merge it into the head (RFC 9110 §6.5.1).
    ///
    /// - Returns: the line's length; 2 for the empty one, which is the last.
    private func trailer(_ buffer: inout ByteBuffer, after count: Int) throws(HTTP1Failure) -> Int? {
        let most = longestTrailer - count
        let result = buffer.withUnsafeReadableBytes { bytes -> Result<Int?, HTTP1Failure> in
            guard let feed = memoryIndex(of: Octets.lineFeed, in: bytes, from: 0) else {
                return bytes.count >= most ? .failure(.headTooLarge) : .success(nil)
            }
            guard feed < most else { return .failure(.headTooLarge) }
            guard feed > 0, bytes[feed - 1] == Octets.carriageReturn else { return .failure(.malformed(.trailer)) }
            guard feed > 1 else { return .success(2) }
            do throws(HTTP1Failure) {
                return .success(try FieldParser.line(bytes, from: 0, end: feed).next)
            } catch {
                return .failure(.malformed(.trailer))
            }
        }
        guard let length = try result.get() else { return nil }
        buffer.moveReaderIndex(forwardBy: length)
        return length
    }
}
