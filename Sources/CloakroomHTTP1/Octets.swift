/// What bytes may stand where (RFC 9110 §5.6, RFC 9112).
///
/// Public, though no product has this module: what is less is never inlined into other modules.
public enum Octets {
    @inlinable public static var tab: UInt8 { UInt8(ascii: "\t") }
    @inlinable public static var lineFeed: UInt8 { UInt8(ascii: "\n") }
    @inlinable public static var carriageReturn: UInt8 { UInt8(ascii: "\r") }
    @inlinable public static var space: UInt8 { UInt8(ascii: " ") }
    @inlinable public static var colon: UInt8 { UInt8(ascii: ":") }

    // A bit for each byte that a token may hold: "!#$%&'*+-.^_`|~", digits and letters.
    @inlinable public static var lowTokens: UInt64 { 0x03FF_6CFA_0000_0000 }
    @inlinable public static var highTokens: UInt64 { 0x57FF_FFFF_C7FF_FFFE }

    /// Whether a token may hold this byte (RFC 9110 §5.6.2).
    @inlinable @inline(__always)
    public static func isToken(_ byte: UInt8) -> Bool {
        guard byte < 128 else { return false }
        let bits = byte < 64 ? lowTokens : highTokens
        return (bits >> UInt64(byte & 63)) & 1 == 1
    }

    /// Whether a field value may hold this byte (RFC 9110 §5.5).
    @inlinable @inline(__always)
    public static func isFieldValue(_ byte: UInt8) -> Bool { (byte >= 0x20 && byte != 0x7F) || byte == tab }

    /// A lower-case letter for an upper-case one.
    @inlinable @inline(__always)
    public static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    /// Whether every byte may stand in a field value, eight at a time.
    @inlinable
    public static func areFieldValue(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        var index = start
        let (ones, highs): (UInt64, UInt64) = (0x0101_0101_0101_0101, 0x8080_8080_8080_8080)
        while index + 8 <= end {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // A byte below 0x20 borrows into its highest bit; one that is 0x7F becomes zero, and then does too. Both may
            // be wrong about a byte beside one that is right, which the slow look sorts out.
            let small = (word &- ones &* 0x20) & ~word & highs
            let delete = word ^ (ones &* 0x7F)
            let deletes = (delete &- ones) & ~delete & highs
            if small | deletes != 0 {
                for offset in 0..<8 where !isFieldValue(bytes[index + offset]) { return false }
            }
            index += 8
        }
        while index < end {
            if !isFieldValue(bytes[index]) { return false }
            index += 1
        }
        return true
    }

    /// Whether these bytes are this text, in whichever case; the text must be in lower case.
    @inlinable @inline(__always)
    public static func equal(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, lowercase text: StaticString
    ) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        let wanted = text.utf8Start
        for offset in 0..<range.count where lowercased(bytes[range.lowerBound + offset]) != wanted[offset] {
            return false
        }
        return true
    }

    /// Whether these bytes are exactly this text.
    @inlinable @inline(__always)
    public static func equal(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, exactly text: StaticString
    ) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count where bytes[range.lowerBound + offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// Whether these bytes are those.
    @inlinable @inline(__always)
    public static func equal(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ other: [UInt8]) -> Bool {
        guard range.count == other.count else { return false }
        return other.withUnsafeBytes { $0.elementsEqual(UnsafeRawBufferPointer(rebasing: bytes[range])) }
    }

    /// The range without spaces and tabs at its ends.
    @inlinable @inline(__always)
    public static func trimmed(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Range<Int> {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high, bytes[low] == space || bytes[low] == tab { low += 1 }
        while high > low, bytes[high - 1] == space || bytes[high - 1] == tab { high -= 1 }
        return low..<high
    }

    /// Calls `body` with each member of a comma-separated list, trimmed; empty ones too.
    @inlinable @inline(__always)
    public static func forEachMember(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ body: (Range<Int>) -> Void
    ) {
        var start = range.lowerBound
        for index in range where bytes[index] == UInt8(ascii: ",") {
            body(trimmed(bytes, start..<index))
            start = index + 1
        }
        body(trimmed(bytes, start..<range.upperBound))
    }

    /// The value of a hexadecimal digit.
    @inline(__always)
    static func hexValue(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) - 0x30
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte) - 0x61 + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte) - 0x41 + 10
        default: nil
        }
    }

    /// A decimal number without sign, of 18 digits at most.
    static func decimal(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        guard (1...18).contains(range.count) else { return nil }
        var value = 0
        for index in range {
            guard (0x30...0x39).contains(bytes[index]) else { return nil }
            value = value * 10 + Int(bytes[index] - 0x30)
        }
        return value
    }
}
