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
            browsers say of themselves.

            EXAMPLES
              The first page, and the next:
                cloakroom sessions list
                cloakroom sessions list --after 127.0.0.1:6379/5120

              The sessions of a user, by sub, or by name where that is none's sub:
                cloakroom sessions list --user f81d4fae-7dec-11d0-a765-00a0c91e6bf6
                cloakroom sessions list --user alice

              For a program:
                cloakroom sessions list --limit 1000 --json | jq -r '.sessions[].handle'
            """
    )

    @OptionGroup var options: SettingsOptions
    @Option(help: ArgumentHelp("Those of one user.", valueName: "sub or name"))
    var user: String?
    @Option(help: ArgumentHelp("The issuer of that user (default: OIDC_ISSUER).", valueName: "url"))
    var issuer: String?
    @Option(help: "About how many.")
    var limit = 50
    @Option(help: ArgumentHelp("Go on where another page ended.", valueName: "cursor"))
    var after: String?
    @Flag(help: "Print a JSON object.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit is 1 to 10000") }
        guard user == nil || after == nil else { throw ValidationError("--after goes without --user") }
    }

    func run() async throws {
        try await failing {
            let page = try await OpenedSessions.with(options, issuer: issuer) { store, _ in
                guard let user else {
                    return try await store.sessions(after: after.map { SessionPage.Cursor($0) }, limit: limit)
                }
                return SessionPage(sessions: try await Self.sessions(of: user, in: store), next: nil)
            }
            try show(page)
        }
    }

    /// The sessions of the user with this `sub`, else of those with this name.
    static func sessions(of user: String, in store: RedisSessionStore) async throws -> [SessionSummary] {
        let bySubject = try await store.sessions(ofUser: user)
        guard bySubject.isEmpty else { return bySubject }
        let progress = Progress("looked at", of: try? await store.estimatedSessionCount())
        defer { progress.end() }
        var found: [SessionHandle: SessionSummary] = [:]
        var cursor: SessionPage.Cursor?
        var seen = 0
        repeat {
            let page = try await store.sessions(after: cursor, limit: 1000)
            for session in page.sessions where session.userName == user { found[session.handle] = session }
            seen += page.sessions.count
            progress.step(seen)
            cursor = page.next
        } while cursor != nil
        return found.values.sorted { $0.createdAt > $1.createdAt }
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
        let now = Date()
        var table = TextTable(["HANDLE", "USER", "BEGAN (UTC)", "LEFT", "IDLE", "DEVICE", "ADDRESS"])
        for session in page.sessions {
            table.add([
                session.handle.description, SessionText.user(session), SessionText.time(session.createdAt),
                SessionText.duration(session.expiresAt.timeIntervalSince(now)),
                session.lastSeenAt.map { SessionText.duration(now.timeIntervalSince($0)) } ?? "-",
                SessionText.device(session.client?.userAgent), session.client?.address ?? "-",
            ])
        }
        if page.sessions.isEmpty {
            Console.complain(page.next == nil ? "No sessions." : "No sessions on this page.")
        } else {
            for line in table.lines(width: Terminal.width) { try Output.standard.line(line) }
        }
        if let next = page.next { Console.complain("More: cloakroom sessions list --after \(next.text)") }
    }
}
