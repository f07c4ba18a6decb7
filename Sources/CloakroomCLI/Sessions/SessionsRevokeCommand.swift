import ArgumentParser
import Cloakroom
import CloakroomGateway
import CloakroomRedis

struct SessionsRevokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "End sessions: their users must log in again.",
        discussion: """
            Every replica answers 401 within 100 ms. The provider is not told: a user who is still logged in there may log in \
            without a password. With SESSION_STORE=hybrid sessions end in both stores. AUDIT_LOG, where it is a file, gets a line of \
            each with the name of who called.

            EXAMPLES
              cloakroom sessions revoke 5f2c9a0b1d3e4f5a6b7c8d9e
              cloakroom sessions revoke --user f81d4fae-7dec-11d0-a765-00a0c91e6bf6
              cloakroom sessions revoke --all --yes

            EXIT CODES
              0 all that was named has ended, 1 failed or not found, 64 unknown flag, or nobody is there to be asked, \
            69 Redis can't be reached, 78 wrong setting
            """
    )

    @OptionGroup var options: SettingsOptions
    @Argument(help: "The handles of sessions.")
    var handles: [String] = []
    @OptionGroup var who: UserOptions
    @Flag(help: "All sessions of everybody.")
    var all = false
    @Flag(help: "Do not ask.")
    var yes = false
    @Flag(help: "Print a JSON object.")
    var json = false

    func validate() throws {
        guard [!handles.isEmpty, who.user != nil, all].count(where: { $0 }) == 1 else {
            throw ValidationError("give handles, or --user, or --all")
        }
    }

    func run() async throws {
        try await failing {
            let wanted = try handles.map { text in
                guard let handle = SessionHandle(text) else {
                    throw Failure(
                        "\"\(LineLogHandler.visible(text))\" is no handle: 24 characters 0-9 a-f", .validationFailure)
                }
                return handle
            }
            let missing = try await OpenedSessions.with(options, both: true) { opened in
                let audit = try audit(opened.settings)
                defer { audit.flush() }
                if all { return try await revokeAll(opened, audit) }
                if let user = who.user { return try await revoke(user: user, opened, audit) }
                return try await revoke(Set(wanted), opened, audit)
            }
            guard missing.isEmpty else {
                throw Failure("there is no session " + missing.map(\.description).sorted().joined(separator: ", "))
            }
        }
    }

    private func audit(_ settings: GatewaySettings) throws -> OperatorAudit {
        do {
            return try OperatorAudit(settings, logger: OpenedSessions.silent)
        } catch {
            throw Failure("\(error)", .wrongSetting)
        }
    }

    private func revokeAll(_ opened: OpenedSessions, _ audit: OperatorAudit) async throws -> Set<SessionHandle> {
        try ask("End all sessions, about \(try await opened.store.estimatedSessionCount())?")
        var count = 0
        for store in opened.all { count = max(count, try await store.deleteAllSessions()) }
        audit.endedAll(count: count)
        try say(count)
        return []
    }

    // MARK: One user's

    private func revoke(
        user: String, _ opened: OpenedSessions, _ audit: OperatorAudit
    ) async throws -> Set<SessionHandle> {
        let shown = LineLogHandler.visible(user)
        var found = try await sessions(of: user, opened)
        guard !found.isEmpty else { throw Failure("\"\(shown)\" has no sessions") }
        let users = Set(found.map { UserIdentity(issuer: $0.1.summary.issuer, subject: $0.1.summary.subject ?? "") })
        guard users.count == 1, let one = users.first else {
            let list = users.map { LineLogHandler.visible("\($0.subject) (\($0.issuer ?? "-"))") }.sorted()
            throw Failure(
                "\"\(shown)\" names \(users.count) users; give one by sub and --issuer: "
                    + list.prefix(10).joined(separator: ", "))
        }
        let handles = Set(found.map(\.1.summary.handle))
        try ask("End \(SessionText.sessions(handles.count)) of \(shown)?")
        var ended: Set<SessionHandle> = []
        // Some may have begun meanwhile.
        for _ in 0..<5 where !found.isEmpty {
            for store in opened.all {
                let names = found.filter { $0.0 === store }.map(\.1)
                guard try await store.end(names.map(\.name)) > 0 else { continue }
                let handles = Set(names.map(\.summary.handle))
                for handle in handles.subtracting(ended) { audit.ended(handle, user: one) }
                ended.formUnion(handles)
            }
            found = []
            // By the index: a walk over all would be a long one, and for what a moment has brought.
            for store in opened.all {
                found += try await store.locate(subject: one.subject, issuer: one.issuer).map { (store, $0) }
            }
        }
        try say(ended.count)
        return []
    }

    private func sessions(
        of user: String, _ opened: OpenedSessions
    ) async throws -> [(RedisSessionStore, LocatedSession)] {
        var found: [(RedisSessionStore, LocatedSession)] = []
        for store in opened.all {
            found += try await UserOptions.sessions(of: user, issuer: who.issuer, in: store).map { (store, $0) }
        }
        return found
    }

    // MARK: By handle

    private func revoke(
        _ handles: Set<SessionHandle>, _ opened: OpenedSessions, _ audit: OperatorAudit
    ) async throws -> Set<SessionHandle> {
        try ask("End \(SessionText.sessions(handles.count))?")
        var ended: Set<SessionHandle> = []
        for store in opened.all {
            let progress = Progress("looked at", of: try? await store.estimatedSessionCount())
            defer { progress.end() }
            // A plain record that becomes a sealed one meanwhile is looked for once more, under its new name.
            var missing = handles
            for _ in 0..<2 where !missing.isEmpty {
                let found = try await store.locate(missing) { progress.step($0) }
                guard !found.isEmpty else { break }
                for (handle, name) in found where try await store.end([name]) > 0 {
                    if ended.insert(handle).inserted { audit.ended(handle, user: nil) }
                    missing.remove(handle)
                }
                missing.formIntersection(found.keys)
            }
        }
        try say(ended.count)
        return handles.subtracting(ended)
    }

    private func ask(_ question: String) throws {
        guard !yes else { return }
        guard Terminal.isInput else { throw Failure("nobody is there to be asked: give --yes", .validationFailure) }
        guard Terminal.confirms(question) else { throw Failure("nothing was ended") }
    }

    private func say(_ count: Int) throws {
        try Output.standard.line(
            json ? SessionText.json(["ended": .number("\(count)")]) : "Ended \(SessionText.sessions(count)).")
    }
}
