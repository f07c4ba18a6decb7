import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Where this byte is first found, from `start` on.
@inline(__always)
func memoryIndex(of byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard start < bytes.count, let base = bytes.baseAddress,
        let found = memchr(base + start, Int32(byte), bytes.count - start)
    else { return nil }
    return UnsafeRawPointer(found) - base
}

/// Finds the empty line that ends a head, looking at each byte once however small the pieces in which it comes.
struct HeadScanner {
    private var lineStart = 0
    private var scanned = 0

    /// - Returns: how many bytes the head has, its empty line included; `nil` if it is not whole yet.
    mutating func headLength(
        in bytes: UnsafeRawBufferPointer, _ limits: HTTP1Limits
    ) throws(HTTP1Failure) -> Int? {
        while let feed = memoryIndex(of: Octets.lineFeed, in: bytes, from: scanned) {
            // A line that ends otherwise is where servers differ most: never wait for more of it.
            guard feed > lineStart, bytes[feed - 1] == Octets.carriageReturn else { throw .malformed(.lineEnd) }
            if lineStart == 0, feed >= limits.startLine { throw .startLineTooLong }
            if feed >= limits.head { throw .headTooLarge }
            let isEmpty = feed == lineStart + 1
            (lineStart, scanned) = (feed + 1, feed + 1)
            if isEmpty {
                self = HeadScanner()
                return feed + 1
            }
        }
        scanned = bytes.count
        if lineStart == 0, bytes.count >= limits.startLine { throw .startLineTooLong }
        if bytes.count >= limits.head { throw .headTooLarge }
        return nil
    }
}
