/// Which of a cluster's slots a key belongs to.
enum HashSlot {
    /// How many slots every cluster has.
    static let count = 16_384

    /// The slot of a key.
    static func of(_ key: String) -> Int {
        var key = key
        return key.withUTF8 { of(UnsafeRawBufferPointer($0)) }
    }

    /// The slot of a key.
    static func of(_ key: UnsafeRawBufferPointer) -> Int {
        Int(checksum(of: tag(of: key))) % count
    }

    /// What of a key is hashed: what stands between the first `{` and the first `}` after it, or all of it if nothing does.
    private static func tag(of key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")),
            let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
        else { return key }
        return UnsafeRawBufferPointer(rebasing: key[(open + 1)..<close])
    }

    /// CRC16/XMODEM: polynomial 0x1021, nothing reflected, starting with 0.
    static func checksum(of bytes: UnsafeRawBufferPointer) -> UInt16 {
        table.withUnsafeBufferPointer { table in
            bytes.reduce(UInt16(0)) { crc, byte in
                (crc << 8) ^ table[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ byte)]
            }
        }
    }

    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { crc, _ in crc & 0x8000 == 0 ? crc << 1 : (crc << 1) ^ 0x1021 }
    }
}
