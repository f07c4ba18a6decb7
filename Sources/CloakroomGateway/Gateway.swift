public import Logging
public import ServiceLifecycle

/// The settings of the gateway, parsed and checked.
public struct GatewaySettings: Sendable {
    public var host = "127.0.0.1"
    public var port = 8020
    public var publicURL: String?
    public var upstreamURL: String?
    public var redisEnabled = false
    public var oidcIssuer = ""
    public var oidcClientID = ""
    public var oidcClientSecret: String?
    public init() {}
}

/// The Backend-for-Frontend as a service: store, relying party, routes and server in one.
public struct Gateway: Service {
    /// - Parameter replicaName: shown on the pages if given, so that a demo can tell which replica answered.
    public init(
        settings: GatewaySettings, logger: Logger, replicaName: String? = nil,
        onServerRunning: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) throws {}
    public func run() async throws { try await gracefulShutdown() }
}
