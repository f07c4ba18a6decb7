import ArgumentParser
import Cloakroom
import CloakroomRedis

struct SessionsCountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "count",
        abstract: "Count sessions.",
        discussion: """
            Says at once about how many there are, from a sample, and says so; up to a thousand keys it is exact. --exact walks \
            over all of them.

            EXAMPLES
              cloakroom sessions count
              cloakroom sessions count --exact
              cloakroom sessions count --user alice
              cloakroom sessions count --json
            """
    )

    @OptionGroup var options: SettingsOptions
    @Flag(help: "Count every one.")
    var exact = false
    @Option(help: ArgumentHelp("Those of one user.", valueName: "sub or name"))
    var user: String?
    @Option(help: ArgumentHelp("The issuer of that user (default: OIDC_ISSUER).", valueName: "url"))
    var issuer: String?
    @Flag(help: "Print a JSON object.")
    var json = false

    func run() async throws {
        try await failing {
            let (count, isExact) = try await OpenedSessions.with(options, issuer: issuer) { store, _ in
                if let user { return (try await SessionsListCommand.sessions(of: user, in: store).count, true) }
                let estimate = try await store.estimatedSessionCount()
                guard exact else { return (estimate, estimate < 1000) }
                let progress = Progress("counted", of: estimate)
                defer { progress.end() }
                return (try await store.sessionCount { progress.step($0) }, true)
            }
            if json {
                try Output.standard.line(SessionText.json(["count": .number("\(count)"), "is_exact": .bool(isExact)]))
            } else {
                try Output.standard.line(isExact ? "\(count)" : "about \(count) (--exact counts them)")
            }
        }
    }
}
