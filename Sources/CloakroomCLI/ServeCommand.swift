import ArgumentParser
import CloakroomGateway
import Foundation
import Logging
import Metrics
import ServiceLifecycle
import UnixSignals

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the gateway.",
        discussion: """
            Every setting may stand in a configuration file (redis_url: …), in a .env file (REDIS_URL=…), in the environment \
            (REDIS_URL) or here (--redis-url …); the last of these that names it wins. Whoever may list processes sees \
            flags, so secrets have none. Each secret can be in a file of its own, as Docker and Kubernetes give them: \
            OIDC_CLIENT_SECRET_FILE=/run/secrets/client_secret.

            EXAMPLES
              Sessions in memory, one process:
                cloakroom serve --oidc-client-id web \\
                  --oidc-issuer https://id.example.com/realms/main

              Sessions in Redis, any number of replicas, an API behind it:
                cloakroom serve --host 0.0.0.0 \\
                  --redis-enabled true --redis-url redis://redis:6379/0 \\
                  --public-url https://app.example.com \\
                  --upstream-url http://api:8000

              Settings from a file:
                cloakroom serve --config /etc/cloakroom.yaml

            SIGNALS
              SIGTERM, SIGINT stop it; SIGHUP has keys and certificates read again, as happens when their files change

            EXIT CODES
              0 stopped by a signal, 64 unknown flag, 69 can't listen, 78 wrong setting
            """
    )

    @OptionGroup var options: SettingsOptions

    func run() async throws {
        let settings: GatewaySettings
        do {
            settings = try await options.load()
        } catch {
            throw exit("\(error)", .wrongSetting)
        }
        // A collector that has gone away must not take the gateway with it.
        signal(SIGPIPE, SIG_IGN)
        let log = LogWriter(format: settings.logFormat)
        defer { log.flush() }
        LoggingSystem.bootstrap { label in
            LineLogHandler(
                label: label, level: settings.logLevel, format: settings.logFormat, writer: log)
        }
        let metrics = MetricsRegistry()
        MetricsSystem.bootstrap(metrics)
        let logger = Logger(label: "cloakroom")
        for warning in settings.warnings { logger.warning("\(warning)") }
        let gateway: Gateway
        do {
            gateway = try Gateway(settings: settings, logger: logger, metrics: metrics)
        } catch let error as SettingsError {
            throw exit("\(error)", .wrongSetting)
        }
        var configuration = ServiceGroupConfiguration(
            services: [gateway, ReloadSignal(gateway: gateway)], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        // A response that never ends must not hold up the shutdown for ever. Within the 30 seconds that orchestrators grant,
        // with room for what load balancers need before it.
        configuration.maximumGracefulShutdownDuration = .seconds(20)
        let group = ServiceGroup(configuration: configuration)
        do {
            try await group.run()
        } catch let error as SettingsError {
            throw exit("\(error)", .wrongSetting)
        } catch let error as GatewayError {
            throw exit("\(error)", .unavailable)
        } catch is CancellationError {
            logger.warning("Stopped; responses that had not ended in time were cut off")
        }
    }

    /// Tells a failure in one line on standard error.
    private func exit(_ line: String, _ code: ExitCode) -> ExitCode {
        // What reads standard error may be gone.
        try? FileHandle.standardError.write(contentsOf: Data("cloakroom: \(line)\n".utf8))
        return code
    }
}

/// SIGHUP: keys and certificates are read again.
private struct ReloadSignal: Service {
    let gateway: Gateway

    func run() async {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            gateway.reloadSecrets()
        }
    }
}

extension ExitCode {
    /// `EX_UNAVAILABLE` of sysexits.
    static let unavailable = ExitCode(69)
    /// `EX_CONFIG` of sysexits.
    static let wrongSetting = ExitCode(78)
}
