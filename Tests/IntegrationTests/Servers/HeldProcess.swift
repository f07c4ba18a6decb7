import Foundation
import Synchronization

/// A server's process, of which there is one at a time.
final class HeldProcess: Sendable {
    private let process = Mutex<Process?>(nil)

    var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }

    /// Starts it; what it says goes to the end of a file.
    func start(_ program: URL?, _ arguments: [String], log file: URL) throws {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        if !FileManager.default.fileExists(atPath: file.path) {
            _ = FileManager.default.createFile(atPath: file.path, contents: nil)
        }
        let log = try FileHandle(forWritingTo: file)
        try log.seekToEnd()
        process.standardOutput = log
        process.standardError = log
        process.standardInput = FileHandle.nullDevice
        try process.run()
        self.process.withLock { $0 = process }
    }

    /// kill -9, and waits for the end.
    func kill() {
        process.withLock { process in
            if let process, process.isRunning {
                Foundation.kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            process = nil
        }
    }

    func signal(_ number: Int32) {
        process.withLock { process in
            if let process { Foundation.kill(process.processIdentifier, number) }
        }
    }
}
