import ArgumentParser
import Cloakroom
import CloakroomGateway
import CloakroomRedis
import Foundation

struct SessionsExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write all sessions to a file, as they are stored.",
        discussion: """
            Plain ones are written with their tokens and IDs: guard the file as you guard Redis. Sealed ones stay sealed. What \
            changes meanwhile may be in it as it was before or after. If it is cut short, it says how to go on.

            EXAMPLES
              cloakroom sessions export --output sessions.jsonl
              cloakroom sessions export | REDIS_URL=redis://new:6379/0 cloakroom sessions import
            """
    )

    /// How many sessions are asked for at once.
    private static let stretch = 2000

    @OptionGroup var options: SettingsOptions
    @Option(help: ArgumentHelp("A file that only its owner can read (default: standard output).", valueName: "path"))
    var output: String?
    @Option(help: ArgumentHelp("Go on where an export was cut short, at the end of its file.", valueName: "cursor"))
    var after: String?

    func run() async throws {
        try await failing {
            let out = try open()
            let (count, skipped) = try await OpenedSessions.with(options) { store, _ in
                try await write(store, to: out)
            }
            if skipped > 0 { Console.complain("\(skipped) keys hold no record, and were left out.") }
            Console.complain("Exported \(count) session\(count == 1 ? "" : "s").")
        }
    }

    private func open() throws -> Output {
        guard let output else {
            guard !Terminal.isOutput else {
                throw Failure(
                    "sessions hold secrets, which do not belong on a terminal: give --output, or a pipe",
                    .validationFailure)
            }
            return .standard
        }
        let flags = after == nil ? O_WRONLY | O_CREAT | O_EXCL : O_WRONLY | O_APPEND
        let descriptor = Foundation.open(output, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure("can't write to \(LineLogHandler.visible(output)): \(String(cString: strerror(errno)))")
        }
        return Output(descriptor: descriptor)
    }

    private func write(_ store: RedisSessionStore, to out: Output) async throws -> (count: Int, skipped: Int) {
        var cursor = after.map { SessionPage.Cursor($0) }
        let progress = Progress("exported", of: try await store.estimatedSessionCount())
        defer { progress.end() }
        if after == nil { try out.write(SessionFile.head(keyPrefix: store.sessionKeyPrefix)) }
        var (count, skipped) = (0, 0)
        var bytes: [UInt8] = []
        do {
            // The next stretch is on its way while this one is written.
            var ahead = try await store.storedSessions(after: cursor, count: Self.stretch)
            while true {
                let (sessions, left, next) = ahead
                async let following = next == nil ? nil : store.storedSessions(after: next, count: Self.stretch)
                bytes.removeAll(keepingCapacity: true)
                for session in sessions { SessionFile.write(session, to: &bytes) }
                try out.write(bytes)
                count += sessions.count
                skipped += left
                progress.step(count)
                cursor = next
                guard let stretch = try await following else { break }
                ahead = stretch
            }
        } catch let error as SessionStoreError {
            progress.end()
            let rest = cursor.map { " --after \($0.text)" } ?? ""
            throw Failure("after \(count) sessions: \(error); go on with: cloakroom sessions export\(rest)")
        }
        try out.write(SessionFile.end(count: count))
        return (count, skipped)
    }
}
