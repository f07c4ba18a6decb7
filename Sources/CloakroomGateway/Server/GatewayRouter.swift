import AsyncHTTPClient
import Cloakroom
import CloakroomHummingbird
import CloakroomOIDC
import Hummingbird

/// Puts the gateway's routes together.
struct GatewayRouter {
    let settings: GatewaySettings
    let publicURL: PublicURL
    let store: any GatewayStore
    let relyingParty: RelyingParty
    let client: HTTPClient
    let refresher: TokenRefresher
    let events: SessionEvents

    func build() throws -> Router<GatewayContext> {
        let pages = try Pages(
            providerName: settings.oidcProviderName, replicaName: settings.replicaName,
            hasUpstream: settings.upstreamURL != nil)
        let router = Router(context: GatewayContext.self, options: .autoGenerateHeadEndpoints)
        router.addMiddleware {
            SingleHostMiddleware()
            AccessLogMiddleware(replicaName: settings.replicaName)
            SecurityHeadersMiddleware(publicURL: publicURL)
            FailureMiddleware(pages: pages)
            SessionMiddleware(store: store, publicURL: publicURL)
        }
        HealthRoutes(store: store, storeName: settings.effectiveStore.rawValue).add(to: router)
        PageRoutes(pages: pages).add(to: router)
        AuthRoutes(
            store: store, records: store, relyingParty: relyingParty, publicURL: publicURL, pages: pages,
            events: events
        ).add(to: router)
        if let upstreamURL = settings.upstreamURL {
            ProxyRoutes(
                upstreamURL: upstreamURL, publicURL: publicURL, client: client,
                places: UpstreamPlaces(
                    limit: settings.upstream.maximumConcurrent,
                    perSession: settings.upstream.maximumConcurrentPerSession),
                refresher: refresher, events: events
            )
            .add(to: router)
        }
        return router
    }
}
