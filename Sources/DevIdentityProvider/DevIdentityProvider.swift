public import Logging
public import ServiceLifecycle

/// A real OpenID provider in miniature, for the demo and for tests. Never for production.
public struct DevIdentityProvider: Service {
    public struct Client: Sendable {
        public var id: String
        public var secret: String?
        public var redirectURIs: [String]
        public var postLogoutRedirectURIs: [String]
        public init(id: String, secret: String?, redirectURIs: [String], postLogoutRedirectURIs: [String] = []) {
            self.id = id
            self.secret = secret
            self.redirectURIs = redirectURIs
            self.postLogoutRedirectURIs = postLogoutRedirectURIs
        }
    }
    public struct Configuration: Sendable {
        public var host: String
        public var port: Int
        public var clients: [Client]
        public var accessTokenLifetime: Duration
        public init(
            host: String = "127.0.0.1", port: Int, clients: [Client], accessTokenLifetime: Duration = .seconds(300)
        ) {
            self.host = host
            self.port = port
            self.clients = clients
            self.accessTokenLifetime = accessTokenLifetime
        }
    }

    /// - Throws: when `host` is not a loopback address.
    public init(
        configuration: Configuration, logger: Logger,
        onServerRunning: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) throws {}
    public func run() async throws { try await gracefulShutdown() }
}
