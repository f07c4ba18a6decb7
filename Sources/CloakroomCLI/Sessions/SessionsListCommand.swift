import ArgumentParser
import Cloakroom
import CloakroomGateway
import CloakroomRedis

import struct Foundation.Date

struct SessionsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List sessions, a page at a time.",
        discussion: """
            All sessions come in no order; those of a user, the newest first. Names and user agents are whatever users and \
            browsers say of themselves. Where the terminal has no room for all columns, the last ones are left out.

            EXAMPLES
              The first page, and the next:
                cloakroom sessions list
                cloakroom sessions list --after 127.0.0.1:6379/5120

              The sessions of a user, by sub, or by name where that is none's sub:
                cloakroom sessions list --user f81d4fae-7dec-11d0-a765-00a0c91e6bf6
                cloakroom sessions list --user alice

              For a program:
                cloakroom sessions list --limit 1000 --json | jq -r '.sessions[].handle'

            EXIT CODES
              0 done, 1 failed, 64 unknown flag, 69 Redis can't be reached, 78 wrong setting
            """
    )

    @OptionGroup var options: SettingsOptions
    @OptionGroup var who: UserOptions
    @Option(help: "About how many.")
    var limit = 50
    @Option(help: ArgumentHelp("Go on where another page ended.", valueName: "cursor"))
    var after: String?
    @Flag(help: "Print a JSON object.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit is 1 to 10000") }
        guard who.user == nil || after == nil else { throw ValidationError("--after goes without --user") }
    }

    func run() async throws {
        try await failing {
            let page = try await OpenedSessions.with(options) { opened in
                guard let user = who.user else {
                    return try await opened.store.sessions(after: after.map { SessionPage.Cursor($0) }, limit: limit)
                }
                let found = try await UserOptions.sessions(of: user, issuer: who.issuer, in: opened.store)
                return SessionPage(sessions: found.map(\.summary), next: nil)
            }
            try show(page)
        }
    }

    private func show(_ page: SessionPage) throws {
        if json {
            try Output.standard.line(
                SessionText.json([
                    "sessions": .array(page.sessions.map { .object(SessionText.object($0)) }),
                    "next": page.next.map { .string($0.text) } ?? .null,
                ]))
            return
        }
        if page.sessions.isEmpty {
            Console.complain(page.next == nil ? "No sessions." : "No sessions on this page.")
        } else {
            for line in Self.table(page.sessions, at: Date()).lines(width: Terminal.width) {
                try Output.standard.line(line)
            }
        }
        if let next = page.next { Console.complain("More: cloakroom sessions list --after \(next.text)") }
    }

    static func table(_ sessions: [SessionSummary], at now: Date) -> TextTable {
        var table = TextTable([
            .init(heading: "HANDLE"), .init(heading: "USER", isWhole: false, rank: 1),
            .init(heading: "BEGAN (UTC)", rank: 3), .init(heading: "LEFT", rank: 2), .init(heading: "IDLE", rank: 5),
            .init(heading: "DEVICE", isWhole: false, rank: 4), .init(heading: "ADDRESS", isWhole: false, rank: 6),
        ])
        for session in sessions {
            table.add([
                session.handle.description, SessionText.user(session), SessionText.minute(session.createdAt),
                SessionText.duration(session.expiresAt.timeIntervalSince(now)),
                session.lastSeenAt.map { SessionText.duration(now.timeIntervalSince($0)) } ?? "-",
                SessionText.device(session.client?.userAgent), session.client?.address ?? "-",
            ])
        }
        return table
    }
}
