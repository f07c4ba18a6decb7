public import CloakroomHTTP
import HTTPTypes
public import Hummingbird

/// All routes of ``LoginRoutes``, ``LogoutRoutes`` and ``UserSessionRoutes``, where `AuthEndpoints.paths` puts them.
///
/// They need ``SessionMiddleware`` around them.
public struct AuthRoutes<Context: SessionRequestContext>: Sendable {
    private let endpoints: AuthEndpoints

    /// Makes the routes of these endpoints.
    public init(_ endpoints: AuthEndpoints) { self.endpoints = endpoints }

    /// Adds the routes. Paths are whole: add them to the router itself, or to a group that has no path of its own.
    public func add(to router: some RouterMethods<Context>) {
        router.add(AuthEndpoint.allCases, of: endpoints)
    }
}

/// The way in: `login`, which sends the browser to the identity provider, `callback`, where it comes back to, `me`, which says
/// who the user is, and this app's public keys for the provider.
///
/// They need ``SessionMiddleware`` around them.
public struct LoginRoutes<Context: SessionRequestContext>: Sendable {
    private let endpoints: AuthEndpoints

    /// Makes the routes of these endpoints.
    public init(_ endpoints: AuthEndpoints) { self.endpoints = endpoints }

    /// Adds the routes. Paths are whole: add them to the router itself, or to a group that has no path of its own.
    public func add(to router: some RouterMethods<Context>) {
        router.add([.login, .callback, .me, .keys], of: endpoints)
    }
}

/// The way out: `logout`, which ends the session here and at the identity provider, and, where the endpoints have what it needs,
/// the logouts that begin at the provider.
///
/// They need ``SessionMiddleware`` around them.
public struct LogoutRoutes<Context: SessionRequestContext>: Sendable {
    private let endpoints: AuthEndpoints

    /// Makes the routes of these endpoints.
    public init(_ endpoints: AuthEndpoints) { self.endpoints = endpoints }

    /// Adds the routes. Paths are whole: add them to the router itself, or to a group that has no path of its own.
    public func add(to router: some RouterMethods<Context>) {
        router.add([.logout, .backchannelLogout, .frontchannelLogout], of: endpoints)
    }
}

/// A user's own sessions: the list, as a page or as JSON, the end of one, of all others, and of all.
///
/// The endpoints need a `directory`, and what renders their pages may show the list in the app's own look:
/// `ErrorPageRenderer.html(for:)` of a `UserSessionsPage`. The routes need ``SessionMiddleware`` around them.
public struct UserSessionRoutes<Context: SessionRequestContext>: Sendable {
    private let endpoints: AuthEndpoints

    /// Makes the routes of these endpoints.
    public init(_ endpoints: AuthEndpoints) { self.endpoints = endpoints }

    /// Adds the routes. Paths are whole: add them to the router itself, or to a group that has no path of its own.
    public func add(to router: some RouterMethods<Context>) {
        router.add([.sessions, .session, .logoutEverywhere], of: endpoints)
    }
}

extension RouterMethods where Context: SessionRequestContext {
    fileprivate func add(_ added: [AuthEndpoint], of endpoints: AuthEndpoints) {
        for endpoint in added {
            // The endpoint itself says which methods it serves, and answers the others with 405.
            for method in [.get, .head, .post, .delete] as [HTTPRequest.Method] {
                on(RouterPath(endpoints.paths[endpoint]), method: method) { request, context in
                    var body: [UInt8] = []
                    if endpoint.maximumBody > 0 {
                        // More is answered with 413 by what collects it.
                        body = Array(try await request.body.collect(upTo: endpoint.maximumBody).readableBytesView)
                    }
                    return Response(await endpoints.answer(endpoint, SessionRequest(request, context, body: body)))
                }
            }
        }
    }
}

extension SessionRequest {
    /// What is known of a request.
    init(_ request: Request, _ context: some SessionRequestContext, body: [UInt8] = []) {
        self.init(
            request.head, session: context.session, id: context.id, clientAddress: context.clientAddress, body: body,
            logger: context.logger)
    }
}
