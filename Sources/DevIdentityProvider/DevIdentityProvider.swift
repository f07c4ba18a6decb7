import Hummingbird
public import Logging
import NIOCore
public import ServiceLifecycle

/// A real OpenID provider in miniature, for the demo and for tests. Never for production.
///
/// It speaks the authorization code flow with PKCE (RFC 6749, RFC 7636), rotates refresh tokens (RFC 9700 §4.14.2),
/// answers UserInfo and RP-initiated logout, tells clients of logouts over the back channel, and keeps everything in memory.
/// Its users' passwords are known to everyone, so it binds to a loopback address only.
public struct DevIdentityProvider: Service {
    private let configuration: Configuration
    private let address: LoopbackAddress
    private let logger: Logger
    private let onServerRunning: @Sendable (_ port: Int) async -> Void

    /// Makes a provider that starts with ``run()``.
    ///
    /// - Parameters:
    ///   - configuration: where to listen, who may log in, and for whom.
    ///   - logger: where it says that it runs; never gets a code, token, password or cookie.
    ///   - onServerRunning: called once with the real port, before the first request is answered.
    /// - Throws: ``StartError`` when `host` is not a loopback address.
    public init(
        configuration: Configuration, logger: Logger,
        onServerRunning: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) throws {
        self.configuration = configuration
        self.address = try LoopbackAddress(host: configuration.host)
        self.logger = logger
        self.onServerRunning = onServerRunning
    }

    /// Serves until graceful shutdown or cancellation.
    ///
    /// - Throws: when the port can't be bound.
    public func run() async throws {
        let provider = Provider(
            configuration: configuration, signingKey: try await SigningKey.generate(), logger: logger)
        let application = Application(
            router: provider.router(),
            configuration: .init(
                address: .hostname(address.bindHost, port: configuration.port), serverName: "dev-identity-provider"),
            onServerRunning: { [logger, onServerRunning] channel in
                let port = channel.localAddress?.port ?? configuration.port
                provider.listening(onPort: port)
                logger.warning(
                    "This OpenID provider is for development only: its users and passwords are public",
                    metadata: ["issuer": "\(provider.issuer)"])
                await onServerRunning(port)
            },
            logger: logger
        )
        try await application.run()
    }
}

/// Why a ``DevIdentityProvider`` refused to start.
public struct StartError: Error, CustomStringConvertible {
    /// One line for the operator.
    public let description: String
}
