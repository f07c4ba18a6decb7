import Cloakroom
import Dispatch
import Foundation
import Logging
import Metrics
import Synchronization

/// Writes the lines of the audit from a thread of its own, to standard output or to a file that may be rotated.
///
/// A file that was moved away or removed is opened anew before the next lines. Lines that can't be written, as the disk is full
/// or nobody reads, are lost, counted (`cloakroom_audit_lines_lost_total`) and told of in the log; the gateway serves on.
final class AuditWriter: Sendable {
    private static let capacity = 4 << 20
    private static let pause = DispatchTimeInterval.milliseconds(5)
    /// How often the log is told of what goes on failing, in seconds.
    private static let silence = 10.0

    private struct Waiting {
        var bytes: [UInt8] = []
        var lines = 0
        /// Those that there was no room for.
        var refused = 0
        var flushes: [DispatchSemaphore] = []
    }

    /// What the thread alone uses.
    private struct File {
        var descriptor: Int32
        /// Whether a line was written in part, so that the next must begin on a line of its own.
        var endsWithin = false
        var isFailing = false
        var lost = 0
        var toldAt = 0.0
    }

    private let path: String?
    private let logger: Logger
    private let waiting = Mutex(Waiting())
    private let file: Mutex<File>
    private let failing = Atomic<Bool>(false)
    private let wake = DispatchSemaphore(value: 0)
    private let hurry = DispatchSemaphore(value: 0)

    /// Opens the file.
    ///
    /// - Parameter path: `nil` for standard output.
    /// - Throws: what the system says of the file.
    init(path: String?, logger: Logger) throws(AuditWriterError) {
        self.path = path
        self.logger = logger
        var descriptor: Int32 = 1
        if let path { descriptor = try Self.open(path) }
        file = Mutex(File(descriptor: descriptor))
        let thread = Thread { [weak self, wake, hurry] in
            while true {
                wake.wait()
                _ = hurry.wait(timeout: .now() + Self.pause)
                guard let self else { return }
                self.writeWhatWaits()
            }
        }
        thread.name = "audit"
        thread.start()
    }

    deinit {
        wake.signal()
        hurry.signal()
        if path != nil { file.withLock { _ = close($0.descriptor) } }
    }

    /// Whether the last lines could not be written.
    var isFailing: Bool { failing.load(ordering: .relaxed) }

    /// Takes a line and returns at once.
    func write(_ line: JSONObject) {
        var bytes = JSONValue.object(line).serialized
        bytes.append(UInt8(ascii: "\n"))
        let isFirst = waiting.withLock { waiting in
            guard waiting.bytes.count + bytes.count <= Self.capacity else {
                waiting.refused += 1
                return false
            }
            waiting.bytes += bytes
            waiting.lines += 1
            return waiting.lines == 1
        }
        if isFirst { wake.signal() }
    }

    /// Waits until what was written before is in the file, but no longer than `limit`.
    func flush(atMost limit: Duration = .seconds(1)) {
        let done = DispatchSemaphore(value: 0)
        waiting.withLock { $0.flushes.append(done) }
        wake.signal()
        hurry.signal()
        _ = done.wait(timeout: .now() + limit / .seconds(1))
    }

    private func writeWhatWaits() {
        let batch = waiting.withLock { waiting in
            defer { waiting = Waiting() }
            return waiting
        }
        file.withLock { file in
            reopenIfMoved(&file)
            var lost = batch.refused
            var problem: Int32 = batch.refused > 0 ? ENOBUFS : 0
            if !batch.bytes.isEmpty {
                let bytes = file.endsWithin ? [UInt8(ascii: "\n")] + batch.bytes : batch.bytes
                let (written, error) = Self.put(bytes, file.descriptor)
                if error != 0 {
                    problem = error
                    lost += bytes[written...].count { $0 == UInt8(ascii: "\n") }
                }
                file.endsWithin = written > 0 ? bytes[written - 1] != UInt8(ascii: "\n") : file.endsWithin
            }
            tell(lost, problem, &file)
        }
        for flush in batch.flushes { flush.signal() }
    }

    /// Says in the log what becomes of the audit, now and then while it goes on failing.
    private func tell(_ lost: Int, _ problem: Int32, _ file: inout File) {
        if lost == 0 {
            guard file.isFailing else { return }
            file.isFailing = false
            failing.store(false, ordering: .relaxed)
            logger.notice("The audit is written again", metadata: ["lost": "\(file.lost)"])
            file.lost = 0
            return
        }
        Counter(label: "cloakroom_audit_lines_lost_total").increment(by: lost)
        file.lost += lost
        failing.store(true, ordering: .relaxed)
        let now = Date().timeIntervalSince1970
        guard !file.isFailing || now - file.toldAt >= Self.silence else { return }
        file.isFailing = true
        file.toldAt = now
        logger.error(
            "The audit can't be written; its lines are lost",
            metadata: [
                "lost": "\(file.lost)", "problem": "\(AuditWriterError(problem))", "file": "\(path ?? "stdout")",
            ])
    }

    private func reopenIfMoved(_ file: inout File) {
        guard let path else { return }
        var (open, named) = (stat(), stat())
        if fstat(file.descriptor, &open) == 0, stat(path, &named) == 0, open.st_ino == named.st_ino,
            open.st_dev == named.st_dev
        {
            return
        }
        // While it can't be made anew, lines go to the old one: better there than nowhere.
        guard let descriptor = try? Self.open(path) else { return }
        close(file.descriptor)
        file.descriptor = descriptor
        file.endsWithin = false
    }

    private static func open(_ path: String) throws(AuditWriterError) -> Int32 {
        let descriptor = Foundation.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw AuditWriterError(errno) }
        return descriptor
    }

    /// - Returns: how much was written, and why not all.
    private static func put(_ bytes: [UInt8], _ descriptor: Int32) -> (written: Int, error: Int32) {
        bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let count = Foundation.write(
                    descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
                if count > 0 {
                    written += count
                } else if count == 0 {
                    return (written, EIO)
                } else if errno == EAGAIN {
                    var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    guard Foundation.poll(&poll, 1, 1000) > 0 else { return (written, EAGAIN) }
                } else if errno != EINTR {
                    return (written, errno)
                }
            }
            return (written, 0)
        }
    }
}

/// Why the audit's file can't be opened or written.
struct AuditWriterError: Error, CustomStringConvertible {
    let description: String

    init(_ number: Int32) {
        description = number == ENOBUFS ? "too many lines wait" : String(cString: strerror(number))
    }
}
