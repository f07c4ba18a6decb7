public import Cloakroom
public import CloakroomHTTP
import HTTPTypes
public import Hummingbird

/// Lets through only requests that have a live session and that this app's own pages sent.
///
/// Behind it, ``LoggedInContext`` gives handlers the session without a question mark:
///
/// ```swift
/// let pages = router.group()
///     .add(middleware: RequireSession(.pages, publicURL: publicURL))
///     .group(context: LoggedInContext<AppContext>.self)
/// pages.get("/cart") { _, context in "Hello, \(context.session.user.name ?? "you")" }
/// ```
///
/// It needs ``SessionMiddleware`` around it, and ``FailureMiddleware`` around that one: a store that can't tell is 503, never
/// "not logged in".
public struct RequireSession<Context: SessionRequestContext>: RouterMiddleware {
    private let audience: SessionAudience
    private let requestGuard: RequestGuard
    private let loginPath: String
    private let events: SessionEvents?

    /// Makes the middleware.
    ///
    /// - Parameters:
    ///   - audience: who asks.
    ///   - publicURL: where browsers reach the app.
    ///   - paths: where the login is.
    ///   - events: what to tell of requests of other sites.
    public init(
        _ audience: SessionAudience, publicURL: PublicURL, paths: AuthPaths = [:], events: SessionEvents? = nil
    ) {
        self.audience = audience
        requestGuard = RequestGuard(publicURL: publicURL)
        loginPath = paths[.login]
        self.events = events
    }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        if let refusal = refusal(of: request) {
            events?.emit(SessionEvent(.denied(reason: refusal.rawValue)))
            return Response(.refused(refusal))
        }
        guard try await context.session.current() != nil else { return unauthenticated(request) }
        return try await next(request, context)
    }

    private func refusal(of request: Request) -> RequestGuard.Refusal? {
        switch audience {
        case .api: requestGuard.refusal(ofAPIRequest: request.headers)
        case .pages: request.method.isSafe ? nil : requestGuard.refusalOfOrigin(request.headers)
        }
    }

    private func unauthenticated(_ request: Request) -> Response {
        guard audience == .pages, request.head.wantsPage else { return Response(.unauthenticated) }
        // A form can't be sent again after the login: its page can be opened again.
        guard request.method.isSafe, let path = request.head.path else { return Response(.redirect(to: loginPath)) }
        return Response(.redirect(to: "\(loginPath)?return_to=\(PercentCoding.encode(path))"))
    }
}

/// Who asks for what is behind ``RequireSession``, which says how a request is checked and what it is told without a session.
public enum SessionAudience: Sendable {
    /// People. A request of another site may read and change nothing but by `GET` and `HEAD`, which should change nothing
    /// anyway; without a session, a page's request is sent to the login, which leads back to it.
    case pages
    /// Programs in pages, which call an API. Each request must carry the static field (`X-CSRF: 1`) that no other site
    /// can set; without a session it gets 401 in JSON.
    case api
}

extension HTTPRequest.Method {
    /// Whether it should change nothing (RFC 9110 §9.2.1).
    fileprivate var isSafe: Bool { self == .get || self == .head }
}
