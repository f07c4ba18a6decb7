public import Cloakroom
public import CloakroomHTTP
import HTTPTypes
public import Hummingbird

/// A request context that knows the request's session.
///
/// ```swift
/// struct AppContext: SessionRequestContext {
///     var coreContext: CoreRequestContextStorage
///     let session = RequestSession()
///     init(source: Source) { coreContext = .init(source: source) }
/// }
/// ```
public protocol SessionRequestContext: RequestContext {
    /// The request's session; made with the context.
    var session: RequestSession { get }
    /// The address that the request came from, for lists of a user's sessions; `nil` by default.
    var clientAddress: String? { get }
}

extension SessionRequestContext {
    public var clientAddress: String? { nil }
}

/// Finds the session that a request's cookie names, when someone asks for it.
///
/// A cookie that is malformed, oversized or sent twice counts as none. What is done to sessions meanwhile is done for this
/// request, as far as `SessionEvent`s tell.
public struct SessionMiddleware<Context: SessionRequestContext>: RouterMiddleware {
    private let store: any SessionStore
    private let refresher: (any SessionRefresher)?
    private let cookies: CookieSettings

    /// Makes the middleware.
    ///
    /// - Parameters:
    ///   - store: where sessions are kept.
    ///   - publicURL: where browsers reach the app.
    ///   - refresher: keeps access tokens fresh for handlers that want one, such as a `TokenRefresher`; `nil` where none
    ///     does.
    public init(store: any SessionStore, publicURL: PublicURL, refresher: (any SessionRefresher)? = nil) {
        self.store = store
        self.refresher = refresher
        self.cookies = CookieSettings(publicURL: publicURL)
    }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        context.session.look(at: request.headers, in: store, cookies: cookies)
        if let refresher { context.session.refreshTokens(by: refresher) }
        let origin = RequestOrigin(
            client: SessionClient(userAgent: request.headers[.userAgent], address: context.clientAddress),
            requestID: context.id)
        return try await RequestOrigin.$current.withValue(origin) { try await next(request, context) }
    }
}
