import Foundation

/// What commands say to the person at the terminal; unbuffered, so that it appears at once in a pipe too.
package enum Console {
    package static func say(_ text: String) {
        // A terminal that has gone away is no reason to stop: the signal that comes with it ends the program.
        try? FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
    }

    package static func complain(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    }
}
