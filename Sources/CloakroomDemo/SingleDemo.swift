import CloakroomGateway
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Everything in one process, sessions in memory.
struct SingleDemo {
    let plan: DemoPlan

    func run() async throws {
        let started = Countdown(3) { Console.say(DemoText.single(plan)) }
        let identityProvider = try plan.identityProvider { _ in started.step() }
        let sampleAPI = plan.sampleAPI { _ in started.step() }
        let gateway = try Gateway(settings: settings, logger: plan.logger) { _ in started.step() }
        var configuration = ServiceGroupConfiguration(
            services: [identityProvider, sampleAPI, gateway],
            gracefulShutdownSignals: [.sigint, .sigterm, .sighup],
            logger: plan.logger)
        configuration.maximumGracefulShutdownDuration = .seconds(10)
        try await ServiceGroup(configuration: configuration).run()
    }

    private var settings: GatewaySettings {
        var settings = GatewaySettings()
        settings.host = "127.0.0.1"
        settings.port = plan.port
        settings.publicURL = plan.publicURL
        settings.upstreamURL = plan.upstreamURL
        settings.redisEnabled = false
        settings.oidcIssuer = plan.issuer
        settings.oidcClientID = plan.clientID
        settings.oidcClientSecret = plan.clientSecret
        return settings
    }
}

/// Does something once, when the last of several parts is ready.
final class Countdown: Sendable {
    private let left: Mutex<Int>
    private let action: @Sendable () -> Void

    init(_ count: Int, action: @escaping @Sendable () -> Void) {
        left = Mutex(count)
        self.action = action
    }

    func step() {
        let isLast = left.withLock { left in
            left -= 1
            return left == 0
        }
        if isLast {
            action()
        }
    }
}
