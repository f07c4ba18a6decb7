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
            without a password.

            EXAMPLES
              cloakroom sessions revoke 5f2c9a0b1d3e4f5a6b7c8d9e
              cloakroom sessions revoke --user f81d4fae-7dec-11d0-a765-00a0c91e6bf6
              cloakroom sessions revoke --all --yes
            """
    )

    @OptionGroup var options: SettingsOptions
    @Argument(help: "The handles of sessions.")
    var handles: [String] = []
    @Option(help: ArgumentHelp("All sessions of one user.", valueName: "sub or name"))
    var user: String?
    @Option(help: ArgumentHelp("The issuer of that user (default: OIDC_ISSUER).", valueName: "url"))
    var issuer: String?
    @Flag(help: "All sessions of everybody.")
    var all = false
    @Flag(help: "Do not ask.")
    var yes = false
    @Flag(help: "Print a JSON object.")
    var json = false

    func validate() throws {
        guard [!handles.isEmpty, user != nil, all].count(where: { $0 }) == 1 else {
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
            let missing = try await OpenedSessions.with(options, issuer: issuer) { store, _ in
                try await revoke(wanted, store)
            }
            guard missing.isEmpty else {
                throw Failure("there is no session " + missing.map(\.description).joined(separator: ", "))
            }
        }
    }

    /// - Returns: the handles for which there was no session.
    private func revoke(_ handles: [SessionHandle], _ store: RedisSessionStore) async throws -> [SessionHandle] {
        try await SessionEndReason.revokedByOperator.around {
            if all {
                try ask("End all sessions, about \(try await store.estimatedSessionCount())?")
                try say(try await store.deleteAllSessions())
                return []
            }
            var missing: [SessionHandle] = []
            var count = 0
            if let user {
                let sessions = try await SessionsListCommand.sessions(of: user, in: store)
                guard !sessions.isEmpty else { throw Failure("\"\(LineLogHandler.visible(user))\" has no sessions") }
                try ask(
                    "End \(sessions.count) session\(sessions.count == 1 ? "" : "s") of \(LineLogHandler.visible(user))?"
                )
                // By what they are of, so that those that begin meanwhile end too.
                for owner in Set(sessions.compactMap(\.user)) {
                    count += try await store.deleteSessions(ofUser: owner, except: nil)
                }
                for session in sessions where session.user == nil {
                    if try await store.deleteSession(session.handle, ofUser: nil) { count += 1 }
                }
            } else {
                try ask("End \(handles.count) session\(handles.count == 1 ? "" : "s")?")
                for handle in handles {
                    if try await store.deleteSession(handle, ofUser: nil) { count += 1 } else { missing.append(handle) }
                }
            }
            try say(count)
            return missing
        }
    }

    private func ask(_ question: String) throws {
        guard !yes else { return }
        guard Terminal.isInput else { throw Failure("nobody is there to be asked: give --yes", .validationFailure) }
        guard Terminal.confirms(question) else { throw Failure("nothing was ended") }
    }

    private func say(_ count: Int) throws {
        try Output.standard.line(
            json ? SessionText.json(["ended": .number("\(count)")]) : "Ended \(count) session\(count == 1 ? "" : "s").")
    }
}
