import Foundation

/// A directory that only this user can enter, for as long as the demo runs.
struct ScratchDirectory: Sendable {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("cloakroom-demo-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: url, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        path = url.path
    }

    func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// Finds programs as a shell would.
enum ProgramSearch {
    /// - Returns: the path of the first `name` on the PATH that can be executed.
    static func find(_ name: String, path: String?) -> String? {
        for directory in (path ?? "").split(separator: ":") {
            let candidate = "\(directory)/\(name)"
            var isDirectory: ObjCBool = false
            if FileManager.default.fileExists(atPath: candidate, isDirectory: &isDirectory), !isDirectory.boolValue,
                FileManager.default.isExecutableFile(atPath: candidate)
            {
                return candidate
            }
        }
        return nil
    }

    /// This program itself.
    static func current() throws -> String {
        guard let path = Bundle.main.executablePath else {
            throw DemoProblem(description: "The path of this program is not known, so no replicas can be started.")
        }
        return path
    }
}
