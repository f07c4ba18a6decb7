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
            Reads what export has written. A session that is there stays as it is, and so does one of which this Redis remembers \
            that it was ended. Each keeps the time that it had left, counted from the export. Sealed sessions need the \
            REDIS_KEY_PREFIX that they had, and SESSION_KEYS to be found in users' lists.

            It also reads what other programs keep in Redis, as far as it maps: a line {"key": …, "value": …, "ttl": …} for each \
            key of connect-redis, Flask-Session (JSON or MessagePack) or Spring Session (JSON; "hash" instead of "value"). \
            docs/command-line.md says how to make such a file. --dry-run says what would become of it.

            EXAMPLES
              cloakroom sessions import sessions.jsonl
              REDIS_URL=redis://old:6379/0 cloakroom sessions export | cloakroom sessions import
              cloakroom sessions import --dry-run connect-redis.jsonl

            EXIT CODES
              0 done, 1 failed, or lines could not be read, 64 unknown flag, 69 Redis can't be reached, 78 wrong setting
            """
    )

    /// How many lines are sent at once, and how many such lots are under way: Redis carries out what is there in a millisecond
    /// or two, for which all others wait.
    private static let lot = 50
    private static let lots = 4

    @OptionGroup var options: SettingsOptions
    @Argument(help: ArgumentHelp("The file (default: standard input).", valueName: "path"))
    var file: String?
    @Option(help: ArgumentHelp("Go on at this line, where an import was cut short.", valueName: "number"))
    var fromLine = 1
    @Flag(help: "Say what would be imported, and change nothing.")
    var dryRun = false
    @Flag(help: "Print a JSON object.")
    var json = false

    func run() async throws {
        try await failing {
            let descriptor = try open()
            Priority.giveWay()
            let lines = LineReader(descriptor: descriptor, longest: SessionFile.longestLine)
            let form = try ImportForm(firstLineOf: lines)
            let issuer = try await defaultIssuer(form)
            // One task at a time uses it: the one that works on the store.
            nonisolated(unsafe) let source = ImportSource(lines: lines, size: Self.size(descriptor), form: form)
            let (tally, isWhole) = try await OpenedSessions.with(options, issuer: issuer, patience: .seconds(10)) {
                opened in
                try await take(source, into: opened)
            }
            for note in tally.notes { Console.complain(note) }
            let text = tally.text(isTrial: dryRun)
            try Output.standard.line(json ? SessionText.json(tally.object) : text.joined(separator: "\n"))
            guard isWhole else {
                throw Failure("the file ends too early: it was cut off, or its export was; what it had was imported")
            }
            guard tally.bad == 0 else { throw Failure("\(tally.bad) lines could not be imported") }
        }
    }

    private func open() throws -> Int32 {
        guard let file, file != "-" else { return 0 }
        let descriptor = Foundation.open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure("can't read \(LineLogHandler.visible(file)): \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    /// How many bytes of a file are still to be read; `nil` of a pipe or terminal.
    private static func size(_ descriptor: Int32) -> Int? {
        let position = lseek(descriptor, 0, SEEK_CUR)
        guard position >= 0 else { return nil }
        let end = lseek(descriptor, 0, SEEK_END)
        guard lseek(descriptor, position, SEEK_SET) == position, end > position else { return nil }
        return Int(end - position)
    }

    /// Lists of users' sessions are made by the issuer that the gateways have as theirs: a wrong one would hide sessions
    /// from them.
    private func defaultIssuer(_ form: ImportForm) async throws -> String? {
        let settings = try await OpenedSessions.settings(options)
        guard settings.oidcIssuer.isEmpty else { return nil }
        guard let issuer = form.defaultIssuer else {
            throw Failure(
                "OIDC_ISSUER is missing; give that of the gateways which use this Redis: the lists of users' sessions go by it",
                .wrongSetting)
        }
        return issuer
    }

    /// - Returns: what became of the lines, and whether the file has an end.
    private func take(_ source: ImportSource, into opened: OpenedSessions) async throws -> (ImportTally, isWhole: Bool)
    {
        let taker = SessionTaker(
            store: opened.store, form: source.form, lifetime: opened.settings.sessionTimeout, isTrial: dryRun)
        let progress = Progress(dryRun ? "read" : "imported")
        defer { progress.end() }
        return try await withThrowingTaskGroup(of: (Int, ImportTally, SessionTaker.Mark?).self) { group in
            var tally = ImportTally()
            /// The first lines of the lots under way.
            var underWay: Set<Int> = []
            var last: SessionTaker.Mark?
            func one() async throws {
                do {
                    guard let (first, result, mark) = try await group.next() else { return }
                    underWay.remove(first)
                    tally.add(result)
                    // Lots come back in any order.
                    if let mark, mark.line > last?.line ?? 0 { last = mark }
                    progress.step(tally.read, share: source.share)
                } catch let error as SessionStoreError {
                    progress.end()
                    for note in tally.notes { Console.complain(note) }
                    throw Failure(
                        "stopped after \(SessionText.sessions(tally.read)): \(error); go on with: cloakroom sessions import "
                            + "--from-line \(underWay.min() ?? 1)",
                        error.code == .unavailable ? .unavailable : .failure)
                }
            }
            while let lot = try source.next(Self.lot, from: fromLine) {
                if underWay.count == Self.lots { try await one() }
                underWay.insert(lot.first)
                group.addTask {
                    let (result, mark) = try await taker.take(lot)
                    return (lot.first, result, mark)
                }
            }
            while !underWay.isEmpty { try await one() }
            return (tally, last?.isEnd ?? !source.form.hasEnd)
        }
    }
}
