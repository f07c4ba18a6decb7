import Dispatch
import Foundation
import Logging
import Metrics
import Synchronization

/// Writes log lines to a file from a thread of its own, so that whoever logs never waits: not for a full pipe, a slow disk
/// or a terminal that is paused.
///
/// What waits to be written is bounded. Lines beyond that are dropped, counted (`cloakroom_log_lines_dropped_total`), and a
/// line says how many once there is room. A file that can't be written to any more loses its lines, and nothing else.
public final class LogWriter: Sendable {
    private struct State {
        var waiting: [UInt8] = []
        var dropped = 0
        var flushes: [DispatchSemaphore] = []
    }

    private let descriptor: Int32
    private let format: GatewaySettings.LogFormat
    private let capacity: Int
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let hurry = DispatchSemaphore(value: 0)
    /// How long lines are gathered. To wake a thread for each would cost more than to answer the request that it tells of.
    private static let pause = DispatchTimeInterval.milliseconds(5)

    /// Makes a writer.
    ///
    /// - Parameters:
    ///   - descriptor: an open file; it is not closed. Standard error by default.
    ///   - format: how the line is written that says how many were dropped.
    ///   - capacity: how many bytes may wait.
    public init(
        descriptor: Int32 = 2, format: GatewaySettings.LogFormat,
        capacity: Int = 1 << 20
    ) {
        self.descriptor = descriptor
        self.format = format
        self.capacity = capacity
        let thread = Thread { [weak self, wake, hurry] in
            while true {
                wake.wait()
                _ = hurry.wait(timeout: .now() + Self.pause)
                guard let self else { return }
                self.writeWhatWaits()
            }
        }
        thread.name = "log"
        thread.start()
    }

    deinit {
        wake.signal()
        hurry.signal()
    }

    /// Takes a line, its newline included, and returns at once.
    public func write(_ line: String) { add(line.utf8, lines: { 1 }) }

    /// Takes lines in UTF-8, their newlines included, and returns at once.
    func write(lines: [UInt8]) { add(lines) { lines.count { $0 == UInt8(ascii: "\n") } } }

    private func add(_ bytes: some Collection<UInt8>, lines: () -> Int) {
        let count = bytes.count
        let isFirst = state.withLock { state in
            guard state.waiting.count + count <= capacity else {
                state.dropped += lines()
                return false
            }
            state.waiting += bytes
            return state.waiting.count == count
        }
        if isFirst { wake.signal() }
    }

    /// Waits until what was written before is in the file, but no longer than `limit`: for the end of the process.
    public func flush(atMost limit: Duration = .seconds(1)) {
        let done = DispatchSemaphore(value: 0)
        state.withLock { $0.flushes.append(done) }
        wake.signal()
        hurry.signal()
        _ = done.wait(timeout: .now() + limit / .seconds(1))
    }

    private func writeWhatWaits() {
        let (bytes, dropped, flushes) = state.withLock { state in
            defer {
                state.waiting = []
                state.dropped = 0
                state.flushes = []
            }
            return (state.waiting, state.dropped, state.flushes)
        }
        put(bytes)
        if dropped > 0 {
            // Made here, as the log is there before the metrics' backend.
            Counter(label: "cloakroom_log_lines_dropped_total").increment(by: dropped)
            let line = LineLogHandler.line(
                format, .warning, label: "cloakroom", "Log lines were dropped, as they could not be written in time",
                [("count", "\(dropped)")])
            put(Array(line.utf8))
        }
        for flush in flushes { flush.signal() }
    }

    private func put(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var rest = UnsafeRawBufferPointer(rebasing: bytes[...])
            while !rest.isEmpty {
                let count = Foundation.write(descriptor, rest.baseAddress, rest.count)
                if count >= 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
                } else if errno == EAGAIN {
                    var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = Foundation.poll(&poll, 1, 1000)
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}
