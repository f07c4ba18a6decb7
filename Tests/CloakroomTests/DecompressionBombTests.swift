import CZlib
import Cloakroom
import Foundation
import Testing

/// Small records that would become large ones.
@Suite struct DecompressionBombTests {
    private let id = SessionID()

    /// Zeros, gzipped as small as they go.
    private static func bomb(zeros: Int) throws -> [UInt8] {
        let chunk = [UInt8](repeating: 0, count: 1 << 20)
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        defer { stream.deallocate() }
        try #require(
            deflateInit2_(
                stream, 9, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size)) == Z_OK)
        defer { deflateEnd(stream) }
        return chunk.withUnsafeBufferPointer { input in
            [UInt8](unsafeUninitializedCapacity: zeros / 1000 + 1000) { output, count in
                stream.pointee.next_out = output.baseAddress
                stream.pointee.avail_out = UInt32(output.count)
                var left = zeros
                repeat {
                    let size = min(left, chunk.count)
                    left -= size
                    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                    stream.pointee.avail_in = UInt32(size)
                    _ = deflate(stream, left == 0 ? Z_FINISH : Z_NO_FLUSH)
                } while left > 0
                count = Int(stream.pointee.total_out)
            }
        }
    }

    /// The most memory, in bytes, that the process has ever held.
    private static var peakMemory: Int {
        var usage = rusage()
        // RUSAGE_SELF, which is of another type on each system; so is the unit.
        getrusage(0, &usage)
        #if os(Linux)
        return usage.ru_maxrss * 1024
        #else
        return usage.ru_maxrss
        #endif
    }

    private func reason(_ record: [UInt8]) -> String? {
        #expect(throws: SessionRecordError.self) {
            try record.withUnsafeBytes { try RecordCodec().decode($0, id: id, key: "session:\(id.secret)") }
        }?.description
    }

    @Test("a gibibyte in a megabyte is refused at once and never held, also when it lies about its size")
    func large() throws {
        var bomb = try Self.bomb(zeros: 1 << 30)
        #expect((1_000_000...PlainRecord.maximumSize).contains(bomb.count))
        let peak = Self.peakMemory
        let start = ContinuousClock.now
        #expect(reason(bomb) == "gzip of more than 1048576 bytes")
        for stated in [0, 1, 1000, UInt32(PlainRecord.maximumSize)] {
            withUnsafeBytes(of: stated.littleEndian) { bomb.replaceSubrange((bomb.count - 4)..., with: $0) }
            #expect(reason(bomb) == "gzip, and damaged")
        }
        #expect(ContinuousClock.now - start < .seconds(2))
        #expect(Self.peakMemory - peak < 100 << 20)
    }

    @Test("small ones are refused too: one byte over the limit, and a size that wraps around")
    func small() throws {
        let limit = PlainRecord.maximumSize
        #expect(reason(try Self.bomb(zeros: limit + 1)) == "gzip of more than 1048576 bytes")
        #expect(reason(try Self.bomb(zeros: limit))?.hasPrefix("not JSON") == true)
        var empty = try Self.bomb(zeros: 0)
        #expect(reason(empty)?.hasPrefix("not JSON") == true)
        empty[empty.count - 1] = 0xFF
        #expect(reason(empty) == "gzip of more than 1048576 bytes")
        empty[empty.count - 1] = 0
        empty[empty.count - 2] = 1
        #expect(reason(empty) == "gzip, and damaged")
    }
}
