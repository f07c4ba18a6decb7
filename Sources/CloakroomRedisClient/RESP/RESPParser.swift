import NIOCore

/// Turns received bytes into replies, one at a time and whole.
///
/// It never recurses and never parses a byte twice (but for the line that is still incomplete): open aggregates wait on a
/// stack of bounded depth. Strings are slices of what was received, not copies. After an error it must be thrown away
/// together with its connection.
struct RESPParser {
    private struct Frame {
        enum Kind { case array, set, map, push, attribute }
        let kind: Kind
        var missing: Int
        var elements: [RESPValue]
    }

    private enum Item {
        case value(RESPValue)
        case aggregate(Frame.Kind, count: Int)
        case skip(length: Int)
    }

    private let limits: RESPLimits
    /// What is being parsed.
    private var buffer = ByteBuffer()
    /// What came after it. Only the item that straddles the two is copied together, not the whole of what came.
    private var incoming = ByteBuffer()
    /// Whether `buffer` is memory of its own, made to hold an item that came in pieces.
    private var isJoined = false
    private var frames: [Frame] = []
    /// Fewer readable bytes than this can't complete the next item.
    private var neededBytes = 1
    /// How much of the line that is incomplete was searched for its end.
    private var searchedBytes = 0
    /// What is left of a string that is being skipped, its line end included, and how long the string is.
    private var skipping: (left: Int, length: Int)?
    private var elementCount = 0
    private var replyBytes = 0

    init(limits: RESPLimits = RESPLimits()) {
        self.limits = limits
    }

    /// Whether a reply has begun and not ended.
    var isMidReply: Bool { buffer.readableBytes > 0 || !frames.isEmpty || skipping != nil }

    /// Takes received bytes; all replies in those given before must have been taken out.
    mutating func append(_ bytes: consuming ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
            isJoined = false
        } else if incoming.readableBytes == 0 {
            incoming = bytes
        } else {
            incoming.writeImmutableBuffer(bytes)
        }
    }

    /// Makes more bytes readable, as many as the next item is known to need.
    ///
    /// - Returns: `false` when there are none.
    private mutating func fill() -> Bool {
        guard incoming.readableBytes > 0 else { return false }
        if buffer.readableBytes == 0 {
            swap(&buffer, &incoming)
            incoming = ByteBuffer()
            isJoined = false
        } else {
            // At least a few bytes, as the line of a length comes before the length is known.
            let missing = max(neededBytes - buffer.readableBytes, 24)
            guard var piece = incoming.readSlice(length: min(missing, incoming.readableBytes)) else { return false }
            if !isJoined {
                // Replies are slices of the old memory, which therefore can't grow: appending would copy all of it.
                var joined = ByteBuffer()
                joined.reserveCapacity(buffer.readableBytes + piece.readableBytes)
                joined.writeImmutableBuffer(buffer)
                buffer = joined
                isJoined = true
            }
            buffer.writeBuffer(&piece)
        }
        return true
    }

    /// The next whole reply or push.
    ///
    /// - Returns: `nil` when more bytes are needed.
    mutating func next() throws(RESPError) -> RESPValue? {
        while true {
            if let skip = skipping {
                let consumed = min(skip.left, buffer.readableBytes)
                buffer.moveReaderIndex(forwardBy: consumed)
                guard consumed == skip.left else {
                    skipping = (skip.left - consumed, skip.length)
                    guard fill() else { return nil }
                    continue
                }
                skipping = nil
                if let reply = close(with: .oversized(bytes: skip.length)) { return reply }
                continue
            }
            guard buffer.readableBytes >= neededBytes else {
                guard fill() else { return nil }
                continue
            }
            let before = buffer.readableBytes
            guard let item = try readItem() else { continue }
            neededBytes = 1
            searchedBytes = 0
            replyBytes += before - buffer.readableBytes
            guard replyBytes <= limits.replySize else { throw .replyTooLarge }
            switch item {
            case .value(let value):
                if let reply = close(with: value) { return reply }
            case .skip(let length):
                skipping = (length + 2, length)
            case .aggregate(let kind, let count):
                try open(kind, count: count)
                if count == 0, let reply = closeFrames() { return reply }
            }
        }
    }

    // MARK: Aggregates

    private mutating func open(_ kind: Frame.Kind, count: Int) throws(RESPError) {
        guard kind != .push || frames.isEmpty else { throw .misplacedPush }
        guard frames.count < limits.depth else { throw .nestedTooDeep }
        let slots = kind == .map || kind == .attribute ? 2 : 1
        guard count <= limits.elements, elementCount + count * slots <= limits.elements else { throw .tooManyElements }
        elementCount += count * slots
        var frame = Frame(kind: kind, missing: count * slots, elements: [])
        // The count is a claim; memory is spent as the elements come.
        frame.elements.reserveCapacity(min(frame.missing, 64))
        frames.append(frame)
    }

    /// Puts a value where it belongs.
    ///
    /// - Returns: the whole reply, if that was its last part.
    private mutating func close(with value: RESPValue) -> RESPValue? {
        guard !frames.isEmpty else { return finish(value) }
        frames[frames.count - 1].elements.append(value)
        frames[frames.count - 1].missing -= 1
        return closeFrames()
    }

    private mutating func closeFrames() -> RESPValue? {
        while let frame = frames.last, frame.missing == 0 {
            frames.removeLast()
            let value: RESPValue
            switch frame.kind {
            case .array: value = .array(frame.elements)
            case .set: value = .set(frame.elements)
            case .map: value = .map(frame.elements)
            case .push: value = .push(frame.elements)
            case .attribute: return nil  // It belongs to the value that follows, which needs it no more than we do.
            }
            guard !frames.isEmpty else { return finish(value) }
            frames[frames.count - 1].elements.append(value)
            frames[frames.count - 1].missing -= 1
        }
        return nil
    }

    private mutating func finish(_ reply: RESPValue) -> RESPValue {
        elementCount = 0
        replyBytes = 0
        return reply
    }

    // MARK: Items

    /// The first line of an item: its type, and the number in it if the type has one.
    private struct Line {
        let type: UInt8
        /// Without the CR LF.
        let length: Int
        let number: Int64?
    }

    private mutating func readItem() throws(RESPError) -> Item? {
        guard let line = try readLine() else { return nil }
        switch line.type {
        case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
            return try readString(line)
        case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: "%"), UInt8(ascii: ">"), UInt8(ascii: "|"):
            let count = try length(line)
            buffer.moveReaderIndex(forwardBy: line.length + 2)
            guard let count else { return .value(.null) }
            return .aggregate(Self.kind(of: line.type), count: count)
        default:
            let value = try scalar(line)
            buffer.moveReaderIndex(forwardBy: line.length + 2)
            return .value(value)
        }
    }

    private static func kind(of type: UInt8) -> Frame.Kind {
        switch type {
        case UInt8(ascii: "~"): .set
        case UInt8(ascii: "%"): .map
        case UInt8(ascii: ">"): .push
        case UInt8(ascii: "|"): .attribute
        default: .array
        }
    }

    /// Looks at the first line; `nil` when its end has not come.
    private mutating func readLine() throws(RESPError) -> Line? {
        let searched = searchedBytes
        let limit = limits.lineLength
        let result = buffer.withUnsafeReadableBytes { bytes -> Result<Line?, RESPError> in
            let end = min(bytes.count, limit + 2)
            var index = searched
            while index < end, bytes[index] != 0x0A { index += 1 }
            guard index < end else { return bytes.count < limit + 2 ? .success(nil) : .failure(.lineTooLong) }
            guard index > 0, bytes[index - 1] == 0x0D else { return .failure(.malformedLineEnd) }
            // A line of nothing but CR LF has no type byte.
            guard index > 1 else { return .failure(.unknownType(0x0D)) }
            let length = index - 1
            return .success(Line(type: bytes[0], length: length, number: Self.number(bytes[1..<length])))
        }
        guard let line = try result.get() else {
            searchedBytes = buffer.readableBytes
            neededBytes = buffer.readableBytes + 1
            return nil
        }
        return line
    }

    private mutating func readString(_ line: Line) throws(RESPError) -> Item? {
        let headerLength = line.length + 2
        guard let length = try length(line) else {
            buffer.moveReaderIndex(forwardBy: headerLength)
            return .value(.null)
        }
        guard length <= limits.skippedBulkSize else { throw .stringTooLong }
        guard length <= limits.bulkSize else {
            buffer.moveReaderIndex(forwardBy: headerLength)
            return .skip(length: length)
        }
        let total = headerLength + length + 2
        guard buffer.readableBytes >= total else {
            // The header is read again when the string is there; its end need not be searched from the start.
            neededBytes = total
            searchedBytes = 0
            return nil
        }
        let start = buffer.readerIndex + headerLength
        guard buffer.getInteger(at: start + length, as: UInt16.self) == 0x0D0A else { throw .malformedLineEnd }
        guard let content = buffer.getSlice(at: start, length: length) else { return nil }
        buffer.moveReaderIndex(forwardBy: total)
        switch line.type {
        case UInt8(ascii: "!"):
            return .value(.error(RedisServerError(message: String(buffer: content))))
        case UInt8(ascii: "="):
            guard length >= 4, let text = content.getSlice(at: content.readerIndex + 4, length: length - 4) else {
                throw .invalidLength
            }
            return .value(.bulk(text))
        default:
            return .value(.bulk(content))
        }
    }

    private func scalar(_ line: Line) throws(RESPError) -> RESPValue {
        switch line.type {
        case UInt8(ascii: "+"): return .simpleString(text(line))
        case UInt8(ascii: "-"): return .error(RedisServerError(message: text(line)))
        case UInt8(ascii: ":"):
            guard let number = line.number else { throw .malformedNumber }
            return .number(number)
        case UInt8(ascii: "_"):
            guard line.length == 1 else { throw .malformedLineEnd }
            return .null
        case UInt8(ascii: "#"):
            switch text(line) {
            case "t": return .boolean(true)
            case "f": return .boolean(false)
            default: throw .malformedNumber
            }
        case UInt8(ascii: ","):
            guard let value = Double(text(line)) else { throw .malformedNumber }
            return .double(value)
        case UInt8(ascii: "("): return .bigNumber(text(line))
        default: throw .unknownType(line.type)
        }
    }

    private func text(_ line: Line) -> String {
        buffer.getString(at: buffer.readerIndex + 1, length: line.length - 1) ?? ""
    }

    /// The length in an item's header; `nil` for the -1 that meant null in RESP2.
    private func length(_ line: Line) throws(RESPError) -> Int? {
        guard let length = line.number else {
            let first = buffer.getInteger(at: buffer.readerIndex + 1, as: UInt8.self)
            throw line.length > 1 && first == UInt8(ascii: "?") ? .streamedType : .malformedNumber
        }
        if length == -1 { return nil }
        guard length >= 0, length <= Int64(Int32.max) else { throw .invalidLength }
        return Int(length)
    }

    /// A decimal number with an optional sign; `nil` if it is none or does not fit.
    private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> Int64? {
        var rest = UnsafeRawBufferPointer(rebasing: digits)[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
        // 19 digits always fit into 64 bits without a sign.
        guard !rest.isEmpty, rest.count <= 19 else { return nil }
        var magnitude: UInt64 = 0
        for byte in rest {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            magnitude = magnitude &* 10 &+ UInt64(digit)
        }
        if isNegative { return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
        return Int64(exactly: magnitude)
    }
}
