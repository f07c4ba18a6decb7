import ArgumentParser
import Cloakroom
import CloakroomGateway
import CloakroomRedis
import Foundation

struct SessionsImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Put sessions from a file into Redis.",
        discussion: """
            Reads what export has written. A session that is there stays as it is, and one that was ended stays ended, so an \
            import that was cut short is simply run again. Each keeps the time that it had left, counted from the export. Sealed \
            sessions need the REDIS_KEY_PREFIX that they had, and SESSION_KEYS to be found in users' lists.

            EXAMPLES
              cloakroom sessions import sessions.jsonl
              REDIS_URL=redis://old:6379/0 cloakroom sessions export | cloakroom sessions import
            """
    )

    /// How many sessions are sent at once, and how many such lots are under way.
    private static let lot = 500
    private static let lots = 4

    @OptionGroup var options: SettingsOptions
    @Argument(help: ArgumentHelp("The file (default: standard input).", valueName: "path"))
    var file: String?
    @Flag(help: "Print a JSON object.")
    var json = false

    /// What became of the sessions of a file.
    struct Tally: Sendable, Equatable {
        var imported = 0
        var alreadyThere = 0
        var ended = 0
        var unlisted = 0
        /// Lines that could not be read.
        var bad = 0
        var read: Int { imported + alreadyThere + ended }

        mutating func add(_ outcomes: [StoredSessionOutcome]) {
            for outcome in outcomes {
                switch outcome {
                case .stored: imported += 1
                case .storedUnlisted:
                    imported += 1
                    unlisted += 1
                case .alreadyThere: alreadyThere += 1
                case .ended: ended += 1
                }
            }
        }
    }

    func run() async throws {
        try await failing {
            let descriptor = try open()
            let (tally, isWhole) = try await OpenedSessions.with(options) { store, _ in
                try await take(LineReader(descriptor: descriptor, longest: SessionFile.longestLine), into: store)
            }
            try say(tally)
            guard isWhole else {
                throw Failure("the file ends too early: it was cut off, or its export was; what it had was imported")
            }
            guard tally.bad == 0 else { throw Failure("\(tally.bad) lines could not be imported") }
        }
    }

    private func open() throws -> Int32 {
        guard let file else { return 0 }
        let descriptor = Foundation.open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure("can't read \(LineLogHandler.visible(file)): \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    /// - Returns: what became of them, and whether the file has an end.
    private func take(_ lines: LineReader, into store: RedisSessionStore) async throws -> (Tally, isWhole: Bool) {
        let progress = Progress("imported")
        defer { progress.end() }
        try readHead(lines, store)
        return try await withThrowingTaskGroup(of: [StoredSessionOutcome].self) { group in
            var tally = Tally()
            var underWay = 0
            var isWhole = false
            func one() async throws {
                do {
                    guard let outcomes = try await group.next() else { return }
                    underWay -= 1
                    tally.add(outcomes)
                    progress.step(tally.read)
                } catch let error as SessionStoreError {
                    progress.end()
                    throw Failure(
                        "after \(tally.read) sessions, at line \(lines.number): \(error); run it again to import the rest",
                        error.code == .unavailable ? .unavailable : .failure)
                }
            }
            var lot: [StoredSession] = []
            while let bytes = try lines.next() {
                guard let line = parsed(bytes, lines.number, store, &tally) else { continue }
                switch line {
                case .session(let session): lot.append(session)
                case .end: isWhole = true
                // That of an export that was appended to this one.
                case .head: isWhole = false
                }
                guard lot.count == Self.lot else { continue }
                if underWay == Self.lots { try await one() }
                underWay += 1
                group.addTask { [lot] in try await store.store(lot) }
                lot.removeAll(keepingCapacity: true)
            }
            if !lot.isEmpty {
                underWay += 1
                group.addTask { [lot] in try await store.store(lot) }
            }
            while underWay > 0 { try await one() }
            return (tally, isWhole)
        }
    }

    private func readHead(_ lines: LineReader, _ store: RedisSessionStore) throws {
        let what = "it is no export of cloakroom sessions"
        guard let bytes = try lines.next() else { throw Failure("the file is empty") }
        guard case .head(let version, _)? = try? SessionFile.read(bytes) else { throw Failure(what) }
        guard version == SessionFile.version else {
            throw Failure("the file is of version \(version), and this program reads \(SessionFile.version)")
        }
    }

    /// - Returns: `nil` for a line that can't be taken, which was said.
    private func parsed(
        _ bytes: [UInt8], _ number: Int, _ store: RedisSessionStore, _ tally: inout Tally
    ) -> SessionFile.Line? {
        // The last line may be empty.
        guard !bytes.isEmpty else { return nil }
        do {
            return try SessionFile.read(bytes)
        } catch {
            tally.bad += 1
            if tally.bad <= 10 {
                Console.complain("line \(number) was skipped: \((error as? Failure)?.line ?? "\(error)")")
            } else if tally.bad == 11 {
                Console.complain("further lines that are skipped are not shown")
            }
            return nil
        }
    }

    private func say(_ tally: Tally) throws {
        if json {
            return try Output.standard.line(
                SessionText.json([
                    "imported": .number("\(tally.imported)"), "already_there": .number("\(tally.alreadyThere)"),
                    "ended": .number("\(tally.ended)"), "unlisted": .number("\(tally.unlisted)"),
                    "skipped_lines": .number("\(tally.bad)"),
                ]))
        }
        try Output.standard.line(
            "Imported \(tally.imported); \(tally.alreadyThere) were there or had been ended, \(tally.ended) had ended by now."
        )
        if tally.unlisted > 0 {
            Console.complain(
                "\(tally.unlisted) can't be read here, so they are in no user's list: give SESSION_KEYS that sealed them"
            )
        }
    }
}

/// Reads lines of bounded length.
final class LineReader {
    private let descriptor: Int32
    private let longest: Int
    private var buffer: [UInt8] = []
    private var start = 0
    private var hasEnded = false
    /// The number of the line that was read last.
    private(set) var number = 0

    init(descriptor: Int32, longest: Int) {
        self.descriptor = descriptor
        self.longest = longest
    }

    /// The next line without its end; `nil` at the end of the file.
    ///
    /// - Throws: a ``Failure`` for a line that is too long, and when the file can't be read.
    func next() throws -> [UInt8]? {
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                number += 1
                return Array(buffer[start..<end])
            }
            searched = buffer.count
            guard buffer.count - start <= longest else {
                throw Failure("line \(number + 1) is longer than \(longest) bytes")
            }
            if hasEnded {
                guard start < buffer.count else { return nil }
                defer { start = buffer.count }
                number += 1
                return Array(buffer[start...])
            }
            searched -= start
            buffer.removeFirst(start)
            start = 0
            try fill()
        }
    }

    private func fill() throws {
        let size = 1 << 18
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: size))
        while true {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress?.advanced(by: old), size) }
            guard count < 0 else {
                buffer.removeLast(size - count)
                hasEnded = count == 0
                return
            }
            guard errno == EINTR else { throw Failure("can't read: \(String(cString: strerror(errno)))") }
        }
    }
}
