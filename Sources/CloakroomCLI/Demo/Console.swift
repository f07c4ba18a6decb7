import Foundation

/// What the demo says to the person at the terminal; unbuffered, so that it appears at once in a pipe too.
enum Console {
    static func say(_ text: String) {
        // A terminal that has gone away is no reason to stop: the signal that comes with it ends the demo.
        try? FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
    }

    static func complain(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    }
}
