import AsyncHTTPClient
public import Cloakroom
import CloakroomHTTP
import CloakroomOIDC
public import Logging
public import NIOCore
public import NIOPosix
public import ServiceLifecycle

/// What the gateway keeps sessions and logins under way in.
public typealias GatewayStore = FullSessionStore & Service

/// The Backend-for-Frontend as a service: store, relying party, routes and server in one.
///
/// It starts whether or not Redis and the identity provider can be reached, says on `/readyz` what is missing, and serves
/// users as soon as it can.
public struct Gateway: Service {
    /// The version of the gateway, as in the images' tag.
    public static let version = CloakroomVersion.current

    private let settings: GatewaySettings
    private let publicURL: PublicURL
    private let logger: Logger
    private let store: (any GatewayStore)?
    private let eventLoopGroup: any EventLoopGroup
    private let onServerRunning: @Sendable (_ port: Int) async -> Void
    private let metrics: MetricsRegistry
    /// Called with the port once the management listener listens.
    package var onManagementRunning: @Sendable (_ port: Int) async -> Void = { _ in }
    private let reloads: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    /// Makes a gateway. Nothing is opened before ``run()``.
    ///
    /// - Parameters:
    ///   - settings: what to do.
    ///   - logger: where to log; its level is left as it is.
    ///   - replicaName: shown on the pages and in a response field, so that one can tell which replica answered; instead of
    ///     ``GatewaySettings/replicaName``.
    ///   - eventLoopGroup: the event loops of all connections; those that the process shares by default. Their owner keeps
    ///     them running for as long as the gateway runs.
    ///   - metrics: shown on `/metrics`, beside the gateway's own; see ``MetricsRegistry``.
    ///   - onServerRunning: called with the port once the gateway listens.
    /// - Throws: ``SettingsError`` when the settings are wrong.
    public init(
        settings: GatewaySettings, logger: Logger, replicaName: String? = nil,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        metrics: MetricsRegistry = MetricsRegistry(),
        onServerRunning: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) throws {
        try self.init(
            settings: settings, logger: logger, replicaName: replicaName, store: nil, eventLoopGroup: eventLoopGroup,
            metrics: metrics, onServerRunning: onServerRunning)
    }

    /// Makes a gateway over a store of the caller's, instead of the one that the settings name.
    ///
    /// The gateway runs the store, whose policy should have ``GatewaySettings/oidcIssuer`` as its default issuer. All else is as
    /// for ``init(settings:logger:replicaName:eventLoopGroup:metrics:onServerRunning:)``.
    public init(
        settings: GatewaySettings, logger: Logger, replicaName: String? = nil, store: (any GatewayStore)?,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        metrics: MetricsRegistry = MetricsRegistry(),
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
        self.eventLoopGroup = eventLoopGroup
        self.metrics = metrics
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
        let group = eventLoopGroup
        let provider = HTTPClient(eventLoopGroup: group, configuration: RelyingParty.httpClientConfiguration())
        let result: Result<Void, any Error>
        do {
            result = .success(try await serve(provider: provider, group: group))
        } catch {
            result = .failure(error)
        }
        try? await provider.shutdown()
        try result.get()
    }

    private func serve(provider: HTTPClient, group: any EventLoopGroup) async throws {
        let events = SessionEvents()
        events.add(SessionEventLog(logger: logger))
        events.add(SessionEventMetrics())
        let audit = try AuditLog(settings, logger: logger)
        if let audit { events.add(audit) }
        let made =
            try store.map { StoreFactory.Made(store: $0, services: [$0]) }
            ?? StoreFactory(settings: settings, events: events, eventLoopGroup: group, logger: logger).make()
        let store = made.store
        let credentials = ClientCredentials(try settings.clientProof.read())
        let relyingParty = RelyingParty(
            configuration: settings.oidcConfiguration(publicURL.origin, credentials),
            httpClient: provider, logger: logger)
        let refresher = TokenRefresher(
            store: store, relyingParty: relyingParty, configuration: settings.refresh.configuration,
            events: events, logger: logger)
        let core = try GatewayCore(
            settings: settings, publicURL: publicURL, store: store, relyingParty: relyingParty, refresher: refresher,
            events: events, audit: audit, logger: logger)
        let listener = ListenerService(
            core: core, host: settings.host, port: settings.port, group: group, logger: logger,
            onRunning: onServerRunning)
        let management = settings.management.address.flatMap(ListenAddress.init).map { address in
            ManagementListener(
                address: address, group: group, logger: logger,
                answers: ManagementAnswers(
                    metrics: MetricsPage(
                        registry: metrics, core: core, store: store, redis: made.redis, version: Self.version),
                    health: core.responder.health),
                onListening: onManagementRunning)
        }
        defer { audit?.flush() }
        // What comes last stops first: the listener, then the refreshes, and the store when nobody needs it any more.
        let services: [any Service] =
            made.services + [
                SecretReload(
                    settings: settings, stores: made.redis, listenerTLS: core.tls,
                    clients: [(settings.clientProof, credentials)],
                    requests: reloads.stream, logger: logger),
                refresher,
                ProviderWarmUp(relyingParty: relyingParty, logger: logger),
            ] + (management.map { [$0] } ?? []) + [listener]
        try await ServiceGroup(services: services, logger: logger).run()
    }
}

/// Listens until it is asked to stop; requests under way are then answered first.
private struct ListenerService: Service {
    let core: GatewayCore
    let host: String
    let port: Int
    let group: any EventLoopGroup
    let logger: Logger
    let onRunning: @Sendable (_ port: Int) async -> Void

    func run() async throws {
        let listener = try await listen()
        logger.info("Listening on \(host):\(listener.port)")
        await onRunning(listener.port)
        // Cancelled or asked to stop, it shuts down; only what is asked waits for others.
        try? await gracefulShutdown()
        await listener.shutDown()
    }

    private func listen() async throws -> Listener {
        do {
            return try await Listener(core: core, host: host, port: port, group: group)
        } catch let error as IOError {
            let reason = error.errnoCode == EADDRINUSE ? "the address is in use" : "\(error)"
            throw GatewayError.cannotListen(host: host, port: port, reason: reason)
        } catch is SocketAddressError.UnknownHost {
            throw GatewayError.cannotListen(host: host, port: port, reason: "there is no such address")
        }
    }
}
