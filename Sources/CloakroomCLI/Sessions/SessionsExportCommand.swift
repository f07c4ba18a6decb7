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

            EXIT CODES
              0 all are in the file, 1 failed, 64 unknown flag, 69 Redis can't be reached, 78 wrong setting, 141 nobody reads \
            any more
            """
    )

    /// How many keys are looked at in one step: Redis carries it out in a millisecond or so, for which all others wait.
    private static let stretch = 100
    /// How long it rests after each step, as a share of the time that the step took: others have Redis to themselves then.
    private static let rest = 0.25

    @OptionGroup var options: SettingsOptions
    @Option(help: ArgumentHelp("A file that only its owner can read (default: standard output).", valueName: "path"))
    var output: String?
    @Option(help: ArgumentHelp("Go on where an export was cut short, at the end of its file.", valueName: "cursor"))
    var after: String?

    func run() async throws {
        try await failing {
            let out = try open()
            Priority.giveWay()
            let (count, skipped) = try await OpenedSessions.with(options, patience: .seconds(10)) { opened in
                try await write(opened.store, to: out)
            }
            if skipped > 0 {
                Console.complain("Left out \(skipped): no record, or nobody can tell when it ends.")
            }
            Console.complain("Exported \(SessionText.sessions(count)).")
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
        let flags = after == nil ? O_WRONLY | O_CREAT | O_EXCL : O_RDWR | O_APPEND
        let descriptor = Foundation.open(output, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure("can't write to \(LineLogHandler.visible(output)): \(String(cString: strerror(errno)))")
        }
        let out = Output(descriptor: descriptor)
        // A line that was cut off ends here, and is one line that can't be read.
        if after != nil, !out.isAtLineStart { try out.write([UInt8(ascii: "\n")]) }
        return out
    }

    private func write(_ store: RedisSessionStore, to out: Output) async throws -> (count: Int, skipped: Int) {
        var cursor = after.map { SessionPage.Cursor($0) }
        let progress = Progress("exported", of: try await store.estimatedSessionCount())
        defer { progress.end() }
        var (count, skipped) = (0, 0)
        var bytes: [UInt8] = []
        do {
            // The next stretch is on its way while this one is written.
            var page = try await store.storedSessions(after: cursor, count: Self.stretch)
            if after == nil {
                bytes = SessionFile.head(
                    keyPrefix: store.sessionKeyPrefix,
                    defaultIssuer: try await store.defaultIssuer(seenIn: page.sessions))
            }
            let clock = ContinuousClock()
            while true {
                let began = clock.now
                let next = page.next
                async let following = next == nil ? nil : store.storedSessions(after: next, count: Self.stretch)
                for session in page.sessions { SessionFile.write(session, to: &bytes) }
                try out.write(bytes)
                bytes.removeAll(keepingCapacity: true)
                count += page.sessions.count
                skipped += page.skipped
                progress.step(count)
                cursor = next
                guard let stretch = try await following else { break }
                page = stretch
                try await Task.sleep(for: (clock.now - began) * Self.rest)
            }
        } catch let error as SessionStoreError {
            throw Failure(stopped(count, "\(error)", cursor), error.code == .unavailable ? .unavailable : .failure)
        } catch let failure as Failure {
            // Such as a full disk.
            throw Failure(stopped(count, failure.line, cursor), failure.code)
        }
        try out.write(SessionFile.end(count: count))
        return (count, skipped)
    }

    private func stopped(_ count: Int, _ reason: String, _ cursor: SessionPage.Cursor?) -> String {
        guard let cursor else { return "stopped at the beginning: \(reason); begin anew" }
        let file = output.map { " --output \(LineLogHandler.visible($0))" } ?? " >> FILE"
        return "stopped after \(SessionText.sessions(count)): \(reason); go on with: "
            + "cloakroom sessions export --after \(cursor.text)\(file)"
    }
}
