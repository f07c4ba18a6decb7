import AsyncHTTPClient
import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird
import CloakroomHummingbirdRedis
import CloakroomOIDC
import CloakroomRedis
import Foundation
import Hummingbird
import Logging
import NIOPosix
import ServiceLifecycle

/// A small shop with a login of its own: sessions, cart and receipts in memory, or in Redis for any number of replicas.
///
///     OIDC_ISSUER=… OIDC_CLIENT_ID=… OIDC_CLIENT_SECRET=… REDIS_URL=… PORT=8080 swift run hummingbird-app
@main
struct App {
    static func main() async throws {
        let settings: Settings
        do {
            settings = try Settings(ProcessInfo.processInfo.environment)
        } catch {
            FileHandle.standardError.write(Data("hummingbird-app: \(error.reason)\n".utf8))
            exit(78)
        }
        try await run(settings, Logger(label: "hummingbird-app"))
    }

    private static func run(_ settings: Settings, _ logger: Logger) async throws {
        let http = HTTPClient(
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: RelyingParty.httpClientConfiguration()
        )
        do {
            try await serve(settings, http, logger)
        } catch {
            try? await http.shutdown()
            throw error
        }
        try await http.shutdown()
    }

    private static func serve(_ settings: Settings, _ http: HTTPClient, _ logger: Logger) async throws {
        let store: any FullSessionStore & Service
        let persist: any PersistDriver
        if let url = settings.redisURL {
            let configuration = RedisStoreConfiguration(url: url)
            store = RedisSessionStore(configuration: configuration, logger: logger)
            persist = RedisPersistDriver(configuration: configuration, keyPrefix: "shop:", logger: logger)
        } else {
            store = InMemorySessionStore(logger: logger)
            persist = MemoryPersistDriver()
        }
        // Everything about the login is below /account here, rather than below /auth.
        let paths = AuthPaths(under: "/account")
        let provider = RelyingParty(
            configuration: OIDCConfiguration(
                issuer: settings.issuer, clientID: settings.clientID, clientSecret: settings.clientSecret,
                redirectURI: settings.publicURL.origin + paths[.callback],
                postLogoutRedirectURI: settings.publicURL.origin + "/"),
            httpClient: http, logger: logger)
        let refresher = TokenRefresher(store: store, relyingParty: provider, logger: logger)
        let endpoints = AuthEndpoints(
            store: store, records: store, provider: provider, publicURL: settings.publicURL, pages: Pages.Own(),
            directory: store, endNotes: store
        ).moved(to: paths)
        let site = Site(
            store: store, refresher: refresher, persist: persist, endpoints: endpoints, publicURL: settings.publicURL)
        var application = Application(
            router: site.router(),
            configuration: .init(address: .hostname("127.0.0.1", port: settings.port), serverName: "shop"),
            logger: logger)
        // They stop in reverse: requests end before the refreshes that they wait for, and these before the store.
        application.addServices(store, persist, refresher)
        try await application.runService()
    }
}
