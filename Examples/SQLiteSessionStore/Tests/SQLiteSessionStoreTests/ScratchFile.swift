import Cloakroom
import Foundation
import Logging
import SQLiteSessionStore

/// A folder of its own for the files of a test.
struct ScratchFolder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "sqlite-session-store-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    var path: String { url.appending(path: "sessions.sqlite").path }

    func open(
        _ policy: SessionPolicy = SessionPolicy(), codec: RecordCodec = RecordCodec(), maximumSize: Int = 1 << 30
    ) throws -> SQLiteSessionStore {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return try SQLiteSessionStore(
            path: path, policy: policy, codec: codec, maximumSize: maximumSize, logger: logger)
    }

    func remove() { try? FileManager.default.removeItem(at: url) }
}
