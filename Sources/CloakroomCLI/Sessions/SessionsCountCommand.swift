import ArgumentParser
import Cloakroom
import CloakroomRedis

struct SessionsCountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "count",
        abstract: "Count sessions.",
        discussion: """
            Says at once about how many there are, from a sample of the keys, and says so; with a few thousand keys the sample \
            is all of them. --exact walks over all keys, some seconds for a million.

            EXAMPLES
              cloakroom sessions count
              cloakroom sessions count --exact
              cloakroom sessions count --user alice
              cloakroom sessions count --json | jq .count

            EXIT CODES
              0 done, 1 failed, 64 unknown flag, 69 Redis can't be reached, 78 wrong setting
            """
    )

    @OptionGroup var options: SettingsOptions
    @OptionGroup var who: UserOptions
    @Flag(help: "Count every one.")
    var exact = false
    @Flag(help: "Print a JSON object.")
    var json = false

    func run() async throws {
        try await failing {
            let (count, isExact) = try await OpenedSessions.with(options) { try await self.look(in: $0.store) }
            if json {
                try Output.standard.line(SessionText.json(["count": .number("\(count)"), "is_exact": .bool(isExact)]))
            } else {
                try Output.standard.line(isExact ? "\(count)" : "about \(count) (--exact counts them)")
            }
        }
    }

    private func look(in store: RedisSessionStore) async throws -> (Int, isExact: Bool) {
        if let user = who.user {
            return (try await UserOptions.sessions(of: user, issuer: who.issuer, in: store).count, true)
        }
        let estimate = try await store.sessionEstimate()
        guard exact else { return estimate }
        let progress = Progress("counted", of: estimate.count)
        defer { progress.end() }
        return (try await store.sessionCount { progress.step($0) }, true)
    }
}
