public import Cloakroom
public import CloakroomHTTP
import Foundation
import HTTPTypes
public import Hummingbird

/// Where the routes of a user's own sessions are.
public struct UserSessionPaths: Sendable {
    /// The list; one session is at its handle below it. `/auth/sessions` by default.
    public var sessions: String
    /// Ends all of the user's sessions. `/auth/logout-everywhere` by default.
    public var logoutEverywhere: String

    /// Puts them where `/auth/sessions` and `/auth/logout-everywhere` would be beside this logout: `/account/sessions` beside
    /// `/account/logout`.
    public init(_ paths: AuthPaths = [:]) {
        let folder = paths[.logout].prefix(through: paths[.logout].lastIndex(of: "/") ?? paths[.logout].startIndex)
        sessions = folder + "sessions"
        logoutEverywhere = folder + "logout-everywhere"
    }
}

/// A user's own sessions, at this provider: the list of them, the end of one, of all others, and of all.
///
/// | route | what |
/// |---|---|
/// | `GET sessions` | `{"sessions":[{"handle","current","began","last_used","ends","device","address","provider"}]}` |
/// | `DELETE sessions/{handle}` | ends one; 404 if the user has none of this handle |
/// | `DELETE sessions` | ends all but this one: `{"ended":2}` |
/// | `POST sessions/{handle}`, `POST sessions` | the same for forms; leads back to the page that shows the list |
/// | `POST logout-everywhere` | ends all, this one too, and then goes on as a logout does |
///
/// `DELETE` needs the static field `X-CSRF: 1`; forms must come from the app's own pages. They need ``SessionMiddleware`` around
/// them.
public struct UserSessionRoutes<Context: SessionRequestContext>: Sendable {
    private let endpoints: AuthEndpoints
    private let store: any SessionStore & SessionDirectory
    private let requestGuard: RequestGuard
    private let events: SessionEvents?
    private let paths: UserSessionPaths
    private let page: String

    /// Makes the routes.
    ///
    /// - Parameters:
    ///   - endpoints: does the logout after a logout everywhere.
    ///   - store: where the sessions are.
    ///   - publicURL: where browsers reach the app.
    ///   - paths: where the routes are; `nil` for beside the logout of `endpoints`.
    ///   - page: the app's page that shows the list; forms lead back to it.
    ///   - events: what to tell of requests that were refused.
    public init(
        _ endpoints: AuthEndpoints, store: any SessionStore & SessionDirectory, publicURL: PublicURL,
        paths: UserSessionPaths? = nil, page: String = "/", events: SessionEvents? = nil
    ) {
        self.endpoints = endpoints
        self.store = store
        self.events = events
        self.page = page
        requestGuard = RequestGuard(publicURL: publicURL)
        self.paths = paths ?? UserSessionPaths(endpoints.paths)
    }

    /// Adds the routes. Paths are whole: add them to the router itself, or to a group that has no path of its own.
    public func add(to router: some RouterMethods<Context>) {
        let (list, one) = (RouterPath(paths.sessions), RouterPath(paths.sessions + "/:handle"))
        router.get(list) { request, context in try await answer(request, context, .origin) { try await self.list($0) } }
        router.delete(list) { request, context in
            try await answer(request, context, .field) { live in
                let count = try await endOthers(live)
                return .json(["ended": .number(String(count))])
            }
        }
        router.post(list) { request, context in
            try await answer(request, context, .origin) { live in
                _ = try await endOthers(live)
                return .redirect(to: page)
            }
        }
        router.delete(one) { request, context in
            try await answer(request, context, .field) { live in
                guard try await end(context, live) else { return .json(["error": "not_found"], status: .notFound) }
                return after(HTTPAnswer(status: .noContent, headers: [.cacheControl: "no-store"]), context, live)
            }
        }
        router.post(one) { request, context in
            try await answer(request, context, .origin) { live in
                _ = try await end(context, live)
                return after(.redirect(to: page), context, live)
            }
        }
        router.post(RouterPath(paths.logoutEverywhere)) { request, context in
            try await answer(request, context, request.head.wantsPage ? .origin : .field) { live in
                // Whatever comes of the rest, this one ends last: until then the user may try again.
                _ = try await endOthers(live)
                return await endpoints.answer(.logout, SessionRequest(request, context))
            }
        }
    }

    private enum Check {
        /// The request must come from the app's own origin.
        case origin
        /// It must carry the static field too.
        case field
    }

    private func answer(
        _ request: Request, _ context: Context, _ check: Check, _ body: (LiveSession) async throws -> HTTPAnswer
    ) async throws -> Response {
        let refusal =
            switch check {
            case .origin: requestGuard.refusalOfOrigin(request.headers)
            case .field: requestGuard.refusal(ofAPIRequest: request.headers)
            }
        if let refusal {
            events?.emit(SessionEvent(.denied(reason: refusal.rawValue)))
            return Response(.refused(refusal))
        }
        guard let live = try await context.session.current() else {
            let isForm = request.method == .post && request.head.wantsPage
            return Response(isForm ? .redirect(to: page) : .unauthenticated)
        }
        return Response(try await body(live))
    }

    private func list(_ live: LiveSession) async throws -> HTTPAnswer {
        let sessions = try await sessions(of: live)
        return .json(["sessions": .array(sessions.map { Self.entry($0, isCurrent: $0.handle == live.id.handle) })])
    }

    private func sessions(of live: LiveSession) async throws -> [SessionSummary] {
        guard let user = live.session.user else {
            return [SessionSummary(of: live.session, handle: live.id.handle, lastSeenAt: nil)]
        }
        return try await storeCall { try await store.sessions(ofUser: user) }
    }

    private static func entry(_ session: SessionSummary, isCurrent: Bool) -> JSONValue {
        var entry: JSONObject = [
            "handle": .string(session.handle.description), "current": .bool(isCurrent),
            "began": .string(session.createdAt.formatted(.iso8601)),
        ]
        entry["last_used"] = session.lastSeenAt.map { .string($0.formatted(.iso8601)) } ?? .null
        entry["ends"] = .string(session.expiresAt.formatted(.iso8601))
        entry["device"] = session.client?.userAgent.map { .string($0) } ?? .null
        entry["address"] = session.client?.address.map { .string($0) } ?? .null
        entry["provider"] = session.issuer.map { .string($0) } ?? .null
        return .object(entry)
    }

    /// Ends the user's session that the path names.
    ///
    /// - Returns: whether there was one.
    private func end(_ context: Context, _ live: LiveSession) async throws -> Bool {
        guard let handle = context.parameters.get("handle").flatMap({ SessionHandle($0) }) else { return false }
        if handle == live.id.handle {
            try await SessionEndReason.revokedByUser.around {
                try await storeCall { try await store.deleteSession(live.id) }
            }
            return true
        }
        guard let user = live.session.user else { return false }
        return try await SessionEndReason.revokedByUser.around {
            try await storeCall { try await store.deleteSession(handle, ofUser: user) }
        }
    }

    /// Takes the cookie back if it was the browser's own session that ended.
    private func after(_ answer: HTTPAnswer, _ context: Context, _ live: LiveSession) -> HTTPAnswer {
        guard context.parameters.get("handle") == live.id.handle.description else { return answer }
        context.session.forget()
        var answer = answer
        answer.headers.add(endpoints.cookies.endedSessionCookie, for: .setCookie)
        return answer
    }

    private func endOthers(_ live: LiveSession) async throws -> Int {
        guard let user = live.session.user else { return 0 }
        return try await SessionEndReason.revokedByUser.around {
            try await storeCall { try await store.deleteSessions(ofUser: user, except: live.id) }
        }
    }
}
