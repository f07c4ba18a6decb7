/// Where the text of JSON strings needs no care (RFC 8259 §7): neither a quotation mark, nor a backslash, nor a control
/// character. Tokens are thousands of such bytes, so that eight are looked at in one step.
enum JSONText {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// The first index, from `start` on, whose byte needs care; the count of the bytes if there is none.
    static func endOfPlainText(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        while index + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let found = marks(word)
            // A mark's borrow reaches later bytes only, so the first mark is right.
            if found != 0 { return index + found.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < bytes.count, !needsCare(bytes[index]) { index += 1 }
        return index
    }

    private static func needsCare(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    /// The high bit of the first byte that needs care, and perhaps of later ones; 0 if there is none.
    private static func marks(_ word: UInt64) -> UInt64 {
        let quotes = word ^ (ones * UInt64(UInt8(ascii: "\"")))
        let backslashes = word ^ (ones * UInt64(UInt8(ascii: "\\")))
        let controls = (word &- ones * 0x20) & ~word
        return (controls | (quotes &- ones) & ~quotes | (backslashes &- ones) & ~backslashes) & highBits
    }
}
