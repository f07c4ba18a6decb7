import ArgumentParser
import CloakroomGateway

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look at settings, Redis, provider and replicas, and say what is wrong and what to do about it.",
        discussion: """
            Takes the settings as serve does. Prints those that count, secrets replaced, and then one line for each thing \
            that was looked at: ok, warn, fail, or unknown where it can't be seen from here, as managed services often tell \
            little. "From here" is where the command runs: run it beside a replica, with its settings.

            It takes 15 seconds at most. In Redis it writes a key or two of its own, which are gone within a second, and a \
            session of the user cloakroom-check, for which it asks at PUBLIC_URL and which it then ends; with --read-only it \
            writes nothing. At the provider it tries to redeem a code that does not exist, which the provider may log.

            PARTS
              settings, store    the settings, and what follows from them
              redis              reachable, eviction, memory, persistence, keys …
              redis-secondary    the same of REDIS_SECONDARY_URL
              identity-provider  metadata, keys, client, redirect URI, clock
              upstream           whether the API in UPSTREAM_URL answers
              public-url         cookies, a login, a session, as browsers see them
              replicas           whether all share store, keys and settings
              security           the security checklist, with --security

            EXAMPLES
              With the settings of the environment or of a .env file:
                cloakroom check

              The security checklist too:
                cloakroom check --security

              In a script:
                cloakroom check --json | jq '.checks[] | select(.status == "fail")'

              Another Redis than the one in use:
                REDIS_URL=rediss://:PASSWORD@redis.example.com:6379 cloakroom check

            EXIT CODES
              0 nothing failed (warnings do not count), 1 something failed,
              64 unknown flag, 78 wrong setting
            """
    )

    @OptionGroup var options: SettingsOptions
    @Flag(help: "Print a JSON object.")
    var json = false
    @Flag(help: "Go through the security checklist too.")
    var security = false
    @Flag(help: "Write nothing to Redis; what only a write would show is unknown then.")
    var readOnly = false

    func run() async throws {
        var report = CheckReport()
        let settings: GatewaySettings
        do {
            settings = try await options.load()
        } catch {
            report.checks.append(
                .init(part: "settings", name: error.setting, status: "fail", detail: "\(error)"))
            show(report)
            throw ExitCode.wrongSetting
        }
        report.add(settings.effectiveSettings)
        report.checks.append(.init(part: "settings", name: "all", status: "ok", detail: "all can be read"))
        for warning in settings.warnings {
            report.checks.append(
                .init(
                    part: "settings", name: "file", status: "warn", detail: warning,
                    remedy: "let the gateway's user alone read it, for example with mode 0400"))
        }
        for origin in settings.secretOrigins where origin.isReadableByAll && origin.name.hasSuffix("KEY_FILE") {
            report.checks.append(
                .init(
                    part: "settings", name: "private-key", status: "warn",
                    detail: "\(origin.name): every user of this machine may read this private key",
                    remedy: "let the gateway's user alone read it, for example with mode 0400"))
        }
        let examination = try Examination(settings: settings, isReadOnly: readOnly, withSecurity: security)
        try await examination.run(into: &report)
        show(report)
        if report.hasFailure { throw ExitCode.failure }
    }

    private func show(_ report: CheckReport) {
        Console.say(json ? JSONOutput.text(report) : report.text)
    }
}
