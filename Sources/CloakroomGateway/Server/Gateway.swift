import AsyncHTTPClient
public import Cloakroom
import CloakroomHTTP
import CloakroomOIDC
import Hummingbird
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle

/// What the gateway keeps sessions and logins under way in.
public typealias GatewayStore = FullSessionStore & Service

/// The Backend-for-Frontend as a service: store, relying party, routes and server in one.
///
/// It starts whether or not Redis and the identity provider can be reached, says on `/readyz` what is missing, and serves
/// users as soon as it can.
public struct Gateway: Service {
    private let settings: GatewaySettings
    private let publicURL: PublicURL
    private let logger: Logger
    private let store: (any GatewayStore)?
    private let onServerRunning: @Sendable (_ port: Int) async -> Void
    private let reloads: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    /// Makes a gateway. Nothing is opened before ``run()``.
    ///
    /// - Parameters:
    ///   - settings: what to do.
    ///   - logger: where to log; its level is left as it is.
    ///   - replicaName: shown on the pages and in a response field, so that one can tell which replica answered; instead of
    ///     ``GatewaySettings/replicaName``.
    ///   - onServerRunning: called with the port once the gateway listens.
    /// - Throws: ``SettingsError`` when the settings are wrong.
    public init(
        settings: GatewaySettings, logger: Logger, replicaName: String? = nil,
        onServerRunning: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) throws {
        try self.init(
            settings: settings, logger: logger, replicaName: replicaName, store: nil, onServerRunning: onServerRunning)
    }

    /// Makes a gateway over a store of the caller's, instead of the one that the settings name.
    ///
    /// - Parameter store: the gateway runs it. Its policy should have ``GatewaySettings/oidcIssuer`` as its default issuer.
    public init(
        settings: GatewaySettings, logger: Logger, replicaName: String? = nil, store: (any GatewayStore)?,
        onServerRunning: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) throws {
        var settings = settings
        settings.replicaName = replicaName ?? settings.replicaName
        try settings.validate()
        guard let publicURL = PublicURL(settings.effectivePublicURL) else {
            throw SettingsError.missing("PUBLIC_URL", expected: "the URL that browsers reach the gateway at")
        }
        self.settings = settings
        self.publicURL = publicURL
        self.logger = logger
        self.store = store
        self.onServerRunning = onServerRunning
        reloads = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Reads keys and certificates again from their files, as happens by itself when those change. Returns at once; the log
    /// says what came of it.
    public func reloadSecrets() { reloads.continuation.yield() }

    /// Serves until the task is cancelled or shut down gracefully; requests under way are then answered first.
    ///
    /// - Throws: ``GatewayError`` when it can't listen.
    public func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let provider = HTTPClient(eventLoopGroup: group, configuration: RelyingParty.httpClientConfiguration())
        let upstream = HTTPClient(eventLoopGroup: group, configuration: upstreamConfiguration)
        let result: Result<Void, any Error>
        do {
            result = .success(try await serve(provider: provider, upstream: upstream))
        } catch {
            result = .failure(error)
        }
        try? await upstream.shutdown()
        try? await provider.shutdown()
        try result.get()
    }

    private func serve(provider: HTTPClient, upstream: HTTPClient) async throws {
        let events = SessionEvents()
        events.add(SessionEventLog(logger: logger))
        events.add(SessionEventMetrics())
        let made =
            try store.map { StoreFactory.Made(store: $0, services: [$0]) }
            ?? StoreFactory(settings: settings, events: events, logger: logger).make()
        let store = made.store
        let relyingParty = RelyingParty(
            configuration: OIDCConfiguration(
                issuer: settings.oidcIssuer, clientID: settings.oidcClientID,
                clientSecret: settings.oidcClientSecret, clientAuthentication: settings.oidcClientAuth,
                scopes: settings.oidcScopes, redirectURI: publicURL.origin + AuthEndpoint.callback.path,
                postLogoutRedirectURI: "\(publicURL.origin)/", discoveryURL: settings.oidcDiscoveryURL),
            httpClient: provider, logger: logger)
        let refresher = TokenRefresher(
            store: store, relyingParty: relyingParty, configuration: settings.refresh.configuration,
            events: events, logger: logger)
        let responder = try GatewayResponder(
            settings: settings, publicURL: publicURL, store: store, relyingParty: relyingParty, client: upstream,
            refresher: refresher, events: events)
        let application = Application(
            responder: responder,
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [ClientConnectionHandler()],
                    idleTimeout: .seconds(75),
                    httpDecoderConfiguration: .init(maxHeaderFieldSize: 32_768, maxHeaderListSize: 65_536))),
            configuration: .init(address: .hostname(settings.host, port: settings.port)),
            // What comes last stops first: the server, then the refreshes, and the store when nobody needs it any more.
            services: made.services + [
                SecretReload(settings: settings, stores: made.redis, requests: reloads.stream, logger: logger),
                refresher,
                ProviderWarmUp(relyingParty: relyingParty, logger: logger),
            ],
            onServerRunning: { [onServerRunning] channel in
                await onServerRunning(channel.localAddress?.port ?? 0)
            },
            logger: logger)
        do {
            try await application.run()
        } catch let error as IOError {
            let reason = error.errnoCode == EADDRINUSE ? "the address is in use" : "\(error)"
            throw GatewayError.cannotListen(host: settings.host, port: settings.port, reason: reason)
        } catch is SocketAddressError.UnknownHost {
            throw GatewayError.cannotListen(
                host: settings.host, port: settings.port, reason: "there is no such address")
        }
    }

    /// Redirects are never followed: they are the browser's business, and the token is for the upstream alone.
    private var upstreamConfiguration: HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(5), read: .seconds(300)))
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = settings.upstream.maximumConcurrent
        configuration.connectionPool.retryConnectionEstablishment = false
        // Shorter than servers commonly keep theirs: a request must not meet one that is just closing, as it might not be
        // safe to send again.
        configuration.connectionPool.idleTimeout = .seconds(4)
        return configuration
    }
}
