import Cloakroom
import Foundation

/// Nobody reads standard output any more.
struct ClosedOutput: Error {}

/// Writes results to standard output or a file, and says when nobody reads them.
struct Output: Sendable {
    let descriptor: Int32

    static let standard = Output(descriptor: 1)

    /// Whether a file ends with a whole line, or is empty.
    var isAtLineStart: Bool {
        let size = lseek(descriptor, 0, SEEK_END)
        var last: UInt8 = 0
        guard size > 0, pread(descriptor, &last, 1, size - 1) == 1 else { return true }
        return last == UInt8(ascii: "\n")
    }

    func line(_ text: String) throws { try write(Array((text + "\n").utf8)) }

    /// - Throws: ``ClosedOutput``, or a ``Failure`` with what the system says.
    func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let count = Foundation.write(
                    descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
                if count >= 0 {
                    written += count
                } else if errno == EPIPE {
                    throw ClosedOutput()
                } else if errno != EINTR {
                    throw Failure("can't write: \(String(cString: strerror(errno)))")
                }
            }
        }
    }
}

/// How much of the machine long work takes.
enum Priority {
    /// Lets all others go first, such as a gateway on the same machine.
    static func giveWay() {
        #if canImport(Glibc)
        // Here each thread has a priority of its own, which those that it makes get too.
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        for thread in threads.compactMap({ UInt32($0) }) {
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), thread, 10)
        }
        #else
        setpriority(PRIO_PROCESS, 0, 10)
        #endif
    }
}

/// What the terminal is like.
enum Terminal {
    static var isOutput: Bool { isatty(1) == 1 }
    static var isError: Bool { isatty(2) == 1 }
    static var isInput: Bool { isatty(0) == 1 }

    /// The columns of the terminal that standard output is; `nil` if it is none.
    static var width: Int? {
        guard isOutput else { return nil }
        var size = winsize()
        if ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        return ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) } ?? 80
    }

    /// Asks for a yes at the terminal.
    static func confirms(_ question: String) -> Bool {
        FileHandle.standardError.write(Data("\(question) [y/N] ".utf8))
        return ["y", "yes"].contains((readLine() ?? "").lowercased())
    }
}

/// How far long work is, on standard error, where that is a terminal.
final class Progress {
    private let what: String
    private let total: Int?
    private var shown = ContinuousClock.now
    private let isShown = Terminal.isError

    /// - Parameter total: how many there are in all, about.
    init(_ what: String, of total: Int? = nil) {
        self.what = what
        self.total = total
    }

    /// - Parameters:
    ///   - count: how many are done.
    ///   - share: which part of the work that is; `nil` for that of the total.
    func step(_ count: Int, share: Double? = nil) {
        guard isShown, ContinuousClock.now - shown > .milliseconds(100) else { return }
        shown = .now
        let share = share ?? total.flatMap { $0 > 0 ? Double(count) / Double($0) : nil }
        FileHandle.standardError.write(Data("\r\u{1B}[K\(Self.line(what, count, share: share))".utf8))
    }

    func end() {
        if isShown { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
    }

    static func line(_ what: String, _ count: Int, share: Double?) -> String {
        guard let share else { return "\(what): \(count)" }
        let bounded = min(1, max(0, share))
        let filled = Int(bounded * 30)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
        return "\(what): [\(bar)] \(Int(bounded * 100))% \(count)"
    }
}
