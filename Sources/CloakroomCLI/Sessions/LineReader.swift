import Foundation

/// Reads lines of bounded length.
final class LineReader {
    enum Line: Equatable {
        case text([UInt8])
        /// Longer than what is read; it was passed over.
        case tooLong
    }

    private static let step = 1 << 18

    private let descriptor: Int32
    private let longest: Int
    private var buffer: [UInt8] = []
    private var start = 0
    private var hasEnded = false
    private var returned: [UInt8]?
    /// The number of the line that was read last.
    private(set) var number = 0
    /// How many bytes were read.
    private(set) var bytes = 0

    init(descriptor: Int32, longest: Int) {
        self.descriptor = descriptor
        self.longest = longest
    }

    /// The next line without its end; `nil` at the end of the file.
    ///
    /// - Parameter isPatient: whether to look for the end of a line that is too long: there may be none.
    /// - Throws: a ``Failure`` when the file can't be read.
    func next(isPatient: Bool = true) throws -> Line? {
        if let line = returned {
            returned = nil
            number += 1
            return .text(line)
        }
        var searched = start
        while true {
            if let end = endOfLine(from: searched) {
                defer { start = end + 1 }
                number += 1
                return end - start > longest ? .tooLong : .text(Array(buffer[start..<end]))
            }
            if hasEnded {
                guard start < buffer.count else { return nil }
                defer { start = buffer.count }
                number += 1
                return buffer.count - start > longest ? .tooLong : .text(Array(buffer[start...]))
            }
            guard buffer.count - start <= longest else { return isPatient ? try passOver() : .tooLong }
            searched = buffer.count - start
            buffer.removeFirst(start)
            start = 0
            try fill()
        }
    }

    /// Reads on to the end of the line without holding it.
    private func passOver() throws -> Line {
        number += 1
        while true {
            buffer.removeAll(keepingCapacity: true)
            start = 0
            if hasEnded { return .tooLong }
            try fill()
            if let end = endOfLine(from: 0) {
                start = end + 1
                return .tooLong
            }
        }
    }

    /// Gives a line back, to be the next once more.
    func putBack(_ line: [UInt8]) {
        number -= 1
        returned = line
    }

    private func endOfLine(from index: Int) -> Int? {
        buffer.withUnsafeBytes { bytes in
            guard index < bytes.count, let base = bytes.baseAddress,
                let found = memchr(base + index, Int32(UInt8(ascii: "\n")), bytes.count - index)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }

    private func fill() throws {
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: Self.step))
        while true {
            let count = buffer.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress?.advanced(by: old), Self.step)
            }
            guard count < 0 else {
                buffer.removeLast(Self.step - count)
                bytes += count
                hasEnded = count == 0
                return
            }
            guard errno == EINTR else { throw Failure("can't read: \(String(cString: strerror(errno)))") }
        }
    }
}
