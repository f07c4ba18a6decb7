import ArgumentParser
import CloakroomGateway
import CloakroomRedis
import Logging

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look at the settings and at Redis, and say what is wrong and what to do about it.",
        discussion: """
            Takes the settings as serve does. Prints those that count, secrets replaced, and then one line for each thing \
            that was looked at: ok, warn, fail, or unknown where the server does not tell, as managed services often don't. \
            In Redis it writes one key of its own, which is gone within a second.

            EXAMPLES
              With the settings of the environment or of a .env file:
                cloakroom check

              In a script:
                cloakroom check --json | jq '.checks[] | select(.status == "fail")'

              Another Redis than the one in use:
                REDIS_URL=rediss://:PASSWORD@redis.example.com:6379 cloakroom check

            EXIT CODES
              0 nothing failed (warnings do not count), 1 something failed, 78 wrong setting
            """
    )

    @OptionGroup var options: SettingsOptions
    @Flag(help: "Print a JSON object.")
    var json = false

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
        try await look(at: settings, &report)
        report.checks.append(
            .init(
                part: "identity-provider", name: "discovery", status: "skipped",
                detail: "not checked: see the log of serve for \(settings.oidcIssuer)"))
        show(report)
        if report.hasFailure { throw ExitCode.failure }
    }

    private func look(at settings: GatewaySettings, _ report: inout CheckReport) async throws {
        if settings.effectiveStore == .memory {
            let moves = settings.redis.isURLGiven
            report.checks.append(
                .init(
                    part: "store", name: "kind", status: "warn",
                    detail: "sessions are in memory: no other replica sees them, and "
                        + (moves
                            ? "they move to REDIS_URL when this one stops, if it is not killed"
                            : "they are lost when it stops"),
                    remedy: "set REDIS_ENABLED=true"))
            guard moves else { return }
        }
        if let line = Self.plainSessions(settings.records) { report.checks.append(line) }
        let factory = StoreFactory(settings: settings, logger: Self.silent)
        report.add(await RedisHealth.check(try factory.primary(), logger: Self.silent), part: "redis")
        if let secondary = try factory.secondary() {
            report.add(await RedisHealth.check(secondary, logger: Self.silent), part: "redis-secondary")
        }
    }

    /// Whether who can write to Redis can plant a session there; `nil` where sessions are not sealed.
    private static func plainSessions(_ records: RecordSettings) -> CheckReport.Line? {
        guard records.keyring != nil, records.seals else { return nil }
        guard records.acceptsPlain else {
            return .init(part: "store", name: "plain", status: "ok", detail: "plain sessions are refused")
        }
        return .init(
            part: "store", name: "plain", status: "warn",
            detail: "plain sessions are accepted: anyone who can write to Redis can plant one",
            remedy: "set SESSION_PLAIN=refuse once all replicas have sealed for SESSION_TIMEOUT")
    }

    private func show(_ report: CheckReport) {
        Console.say(json ? JSONOutput.text(report) : report.text)
    }

    /// What is to be said stands in the report.
    private static let silent = Logger(label: "cloakroom.check") { _ in SwiftLogNoOpLogHandler() }
}
