public import Cloakroom
public import CloakroomHTTP
import HTTPTypes
public import Hummingbird

/// The routes of login and logout: `/auth/login`, `/auth/callback`, `/auth/logout`, `/auth/me`, `/auth/jwks.json`.
///
/// They need ``SessionMiddleware`` around them.
public struct AuthRoutes<Context: SessionRequestContext>: Sendable {
    private let endpoints: AuthEndpoints

    /// Makes the routes.
    ///
    /// - Parameters:
    ///   - store: where sessions are kept.
    ///   - records: makes sure that a login is completed once; usually the same store, and shared by all replicas as that is.
    ///   - provider: the identity provider, such as a `RelyingParty`. Its redirect URI is `/auth/callback` at `publicURL`.
    ///   - publicURL: where browsers reach the app.
    ///   - pages: how error pages look.
    ///   - events: what to tell of logins and requests that were refused.
    public init(
        store: any SessionStore, records: any OneTimeRecordStore, provider: any LoginProvider, publicURL: PublicURL,
        pages: any ErrorPageRenderer = PlainErrorPages(), events: SessionEvents? = nil
    ) {
        endpoints = AuthEndpoints(
            store: store, records: records, provider: provider, publicURL: publicURL, pages: pages, events: events)
    }

    /// Adds the routes.
    public func add(to router: some RouterMethods<Context>) {
        for endpoint in AuthEndpoint.allCases {
            for method in [.get, .head, .post] as [HTTPRequest.Method] {
                router.on(RouterPath(endpoint.path), method: method) { [endpoints] request, context in
                    let request = SessionRequest(
                        request.head, session: context.session, id: context.id, clientAddress: context.clientAddress,
                        logger: context.logger)
                    return Response(await endpoints.answer(endpoint, request))
                }
            }
        }
    }
}
