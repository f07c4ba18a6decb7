import CZlib

/// Compression of records (RFC 1952) by the system's zlib.
enum Gzip {
    /// The first two bytes of every gzip.
    static let magic: (UInt8, UInt8) = (0x1F, 0x8B)

    /// The header, an empty block and the trailer.
    private static let minimumSize = 20
    /// zlib's flag for the gzip format, added to the size of the window.
    private static let gzipFormat: Int32 = 16
    private static let level: Int32 = 1
    /// 8 KiB: a window as large as most records, and far less to set up than the largest.
    private static let windowBits: Int32 = 13
    private static let memoryLevel: Int32 = 6

    static func isGzip(_ raw: UnsafeRawBufferPointer) -> Bool {
        raw.count >= 2 && raw[0] == magic.0 && raw[1] == magic.1
    }

    /// - Returns: `nil` when the result would not be smaller, or zlib has no memory.
    static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        // A stream must stay where it is while it is in use.
        withUnsafeTemporaryAllocation(of: z_stream.self, capacity: 1) { streams -> [UInt8]? in
            guard let stream = streams.baseAddress else { return nil }
            stream.initialize(to: z_stream())
            let started = deflateInit2_(
                stream, level, Z_DEFLATED, windowBits + gzipFormat, memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size))
            guard started == Z_OK else { return nil }
            defer { deflateEnd(stream) }
            let out = bytes.withUnsafeBufferPointer { input in
                [UInt8](unsafeUninitializedCapacity: bytes.count) { output, count in
                    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                    stream.pointee.avail_in = UInt32(clamping: input.count)
                    stream.pointee.next_out = output.baseAddress
                    stream.pointee.avail_out = UInt32(clamping: output.count)
                    let isComplete = deflate(stream, Z_FINISH) == Z_STREAM_END
                    count = isComplete ? Int(clamping: stream.pointee.total_out) : 0
                }
            }
            return out.isEmpty ? nil : out
        }
    }

    /// Decompresses one whole gzip, whose checksum is verified, with nothing after it.
    ///
    /// - Parameter limit: the most bytes that may come out. No more are ever held.
    static func decompress(_ raw: UnsafeRawBufferPointer, limit: Int) throws(SessionRecordError) -> [UInt8] {
        guard raw.count >= minimumSize else { throw SessionRecordError("gzip, and cut off") }
        // The size is said at the end, modulo 2³². Whether it is true shows when it is all that there is room for.
        let stated = UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: raw.count - 4, as: UInt32.self))
        guard stated <= limit else { throw SessionRecordError("gzip of more than \(limit) bytes") }
        let out = withUnsafeTemporaryAllocation(of: z_stream.self, capacity: 1) { streams -> [UInt8]? in
            guard let stream = streams.baseAddress else { return nil }
            stream.initialize(to: z_stream())
            let started = inflateInit2_(
                stream, MAX_WBITS + gzipFormat, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
            guard started == Z_OK else { return nil }
            defer { inflateEnd(stream) }
            var isWhole = false
            let out = [UInt8](unsafeUninitializedCapacity: Int(stated)) { output, count in
                stream.pointee.next_in = UnsafeMutablePointer(
                    mutating: raw.baseAddress?.assumingMemoryBound(to: UInt8.self))
                stream.pointee.avail_in = UInt32(clamping: raw.count)
                stream.pointee.next_out = output.baseAddress
                stream.pointee.avail_out = stated
                isWhole =
                    inflate(stream, Z_FINISH) == Z_STREAM_END && stream.pointee.avail_in == 0
                    && stream.pointee.avail_out == 0
                count = isWhole ? Int(stated) : 0
            }
            return isWhole ? out : nil
        }
        guard let out else { throw SessionRecordError("gzip, and damaged") }
        return out
    }
}
