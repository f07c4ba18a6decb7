public import Cloakroom
public import CloakroomHTTP
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
/// A cookie that is malformed, oversized or sent twice counts as none.
public struct SessionMiddleware<Context: SessionRequestContext>: RouterMiddleware {
    private let store: any SessionStore
    private let cookies: CookieSettings

    /// Makes the middleware.
    public init(store: any SessionStore, publicURL: PublicURL) {
        self.store = store
        self.cookies = CookieSettings(publicURL: publicURL)
    }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        context.session.look(at: request.headers, in: store, cookies: cookies)
        return try await next(request, context)
    }
}
