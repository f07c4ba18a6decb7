import Foundation

/// A file that settings or a secret are read from: a regular file of a bounded size that holds text.
struct SettingsFile {
    /// Why a file can't be used, in words that follow its name.
    struct Problem: Error {
        let reason: String
    }

    let text: String
    /// Whether every user of this machine may read it.
    let isReadableByAll: Bool

    /// - Parameter limit: the most bytes that it may have.
    init(path: String, limit: Int) throws(Problem) {
        // Without waiting: a FIFO that nobody writes to would else hold the start up for ever.
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw Problem(reason: Self.reason(errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Problem(reason: Self.reason(errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Problem(reason: "is not a regular file") }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count < bytes.count {
            let part = bytes.withUnsafeMutableBytes {
                read(descriptor, UnsafeMutableRawBufferPointer(rebasing: $0[count...]).baseAddress, $0.count - count)
            }
            guard part >= 0 else { throw Problem(reason: Self.reason(errno)) }
            guard part > 0 else { break }
            count += part
        }
        guard count <= limit else { throw Problem(reason: "has more than \(SettingsSize.text(limit)) bytes") }
        guard let text = String(validating: bytes.prefix(count), as: UTF8.self), !text.utf8.contains(0) else {
            throw Problem(reason: "is not UTF-8 text")
        }
        self.text = text
        isReadableByAll = status.st_mode & S_IROTH != 0
    }

    /// Whether every user of this machine may read the file; `false` if there is none.
    static func isReadableByAll(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IROTH != 0
    }

    private static func reason(_ code: Int32) -> String {
        switch code {
        case ENOENT: "does not exist"
        case EACCES, EPERM: "may not be read by this user"
        case EISDIR: "is a directory"
        default: "can't be read (\(String(cString: strerror(code))))"
        }
    }

    /// The most bytes that a secret's file may have.
    private static let secretLimit = 65_536

    /// The secret in a file: all of it but line ends at its end.
    static func secret(at path: String) throws(Problem) -> (text: String, isReadableByAll: Bool) {
        let file = try SettingsFile(path: path, limit: secretLimit)
        var text = file.text[...]
        while let last = text.last, last.isNewline { text = text.dropLast() }
        guard !text.isEmpty else { throw Problem(reason: "is empty") }
        return (String(text), file.isReadableByAll)
    }
}
