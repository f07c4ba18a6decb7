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
    private var buffer = ByteBuffer()
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

    mutating func append(_ bytes: consuming ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            if neededBytes > buffer.readableBytes + bytes.readableBytes {
                buffer.reserveCapacity(minimumWritableBytes: neededBytes - buffer.readableBytes)
            }
            buffer.writeImmutableBuffer(bytes)
        }
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
                    return nil
                }
                skipping = nil
                if let reply = close(with: .oversized(bytes: skip.length)) { return reply }
                continue
            }
            guard buffer.readableBytes >= neededBytes else { return nil }
            let before = buffer.readableBytes
            guard let item = try readItem() else { return nil }
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

    private mutating func readItem() throws(RESPError) -> Item? {
        guard let lineLength = try lineLength() else { return nil }
        let start = buffer.readerIndex
        guard let type = buffer.getInteger(at: start, as: UInt8.self) else { return nil }
        let headerLength = lineLength + 2
        switch type {
        case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
            return try readString(type: type, headerLength: headerLength)
        case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: "%"), UInt8(ascii: ">"), UInt8(ascii: "|"):
            let count = try length(lineLength: lineLength)
            buffer.moveReaderIndex(forwardBy: headerLength)
            guard let count else { return .value(.null) }
            return .aggregate(Self.kind(of: type), count: count)
        default:
            let value = try scalar(type: type, lineLength: lineLength)
            buffer.moveReaderIndex(forwardBy: headerLength)
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

    /// The length of the first line, without its CR LF; `nil` when its end has not come.
    private mutating func lineLength() throws(RESPError) -> Int? {
        let limit = limits.lineLength
        let searched = searchedBytes
        let found: Int? = buffer.withUnsafeReadableBytes { bytes in
            var index = searched
            let end = min(bytes.count, limit + 2)
            while index < end {
                if bytes[index] == 0x0A { return index }
                index += 1
            }
            return nil
        }
        guard let found else {
            guard buffer.readableBytes < limit + 2 else { throw .lineTooLong }
            searchedBytes = buffer.readableBytes
            neededBytes = buffer.readableBytes + 1
            return nil
        }
        guard found > 0, buffer.getInteger(at: buffer.readerIndex + found - 1, as: UInt8.self) == 0x0D else {
            throw .malformedLineEnd
        }
        guard found >= 2 else {
            // A line of nothing but CR LF has no type byte.
            throw .unknownType(0x0D)
        }
        return found - 1
    }

    private mutating func readString(type: UInt8, headerLength: Int) throws(RESPError) -> Item? {
        guard let length = try length(lineLength: headerLength - 2) else {
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
        switch type {
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

    private func scalar(type: UInt8, lineLength: Int) throws(RESPError) -> RESPValue {
        switch type {
        case UInt8(ascii: "+"): return .simpleString(text(lineLength: lineLength))
        case UInt8(ascii: "-"): return .error(RedisServerError(message: text(lineLength: lineLength)))
        case UInt8(ascii: ":"): return .number(try number(lineLength: lineLength))
        case UInt8(ascii: "_"):
            guard lineLength == 1 else { throw .malformedLineEnd }
            return .null
        case UInt8(ascii: "#"):
            switch text(lineLength: lineLength) {
            case "t": return .boolean(true)
            case "f": return .boolean(false)
            default: throw .malformedNumber
            }
        case UInt8(ascii: ","):
            guard let value = Double(text(lineLength: lineLength)) else { throw .malformedNumber }
            return .double(value)
        case UInt8(ascii: "("): return .bigNumber(text(lineLength: lineLength))
        default: throw .unknownType(type)
        }
    }

    private func text(lineLength: Int) -> String {
        buffer.getString(at: buffer.readerIndex + 1, length: lineLength - 1) ?? ""
    }

    /// The length in an item's header; `nil` for the -1 that meant null in RESP2.
    private func length(lineLength: Int) throws(RESPError) -> Int? {
        guard buffer.getInteger(at: buffer.readerIndex + 1, as: UInt8.self) != UInt8(ascii: "?") else {
            throw .streamedType
        }
        let length = try number(lineLength: lineLength)
        if length == -1 { return nil }
        guard length >= 0, length <= Int64(Int32.max) else { throw .invalidLength }
        return Int(length)
    }

    private func number(lineLength: Int) throws(RESPError) -> Int64 {
        let number: Int64? = buffer.withUnsafeReadableBytes { bytes in
            var index = 1
            var isNegative = false
            if index < lineLength, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
                isNegative = bytes[index] == UInt8(ascii: "-")
                index += 1
            }
            guard index < lineLength, lineLength - index <= 19 else { return nil }
            var magnitude: UInt64 = 0
            while index < lineLength {
                let digit = bytes[index] &- UInt8(ascii: "0")
                guard digit <= 9 else { return nil }
                magnitude = magnitude &* 10 &+ UInt64(digit)  // 19 digits fit into 64 bits
                index += 1
            }
            if isNegative { return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
            return Int64(exactly: magnitude)
        }
        guard let number else { throw .malformedNumber }
        return number
    }
}
