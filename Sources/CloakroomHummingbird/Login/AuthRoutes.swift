public import Cloakroom
public import CloakroomOIDC
import HTTPTypes
public import Hummingbird
import Logging

/// The routes of login and logout: `/auth/login`, `/auth/callback`, `/auth/logout`, `/auth/me`.
///
/// They need ``SessionMiddleware`` and ``FailureMiddleware`` around them.
public struct AuthRoutes<Context: SessionRequestContext>: Sendable {
    /// How many logins may begin on one replica within the ten minutes that each may take.
    public static var maximumPendingLogins: Int { 10_000 }

    let store: any SessionStore
    let relyingParty: RelyingParty
    let publicURL: PublicURL
    let pages: any ErrorPageRenderer
    let cookies: CookieSettings
    let requestGuard: RequestGuard
    let transactions: LoginTransactions
    let budget: LoginBudget
    let events: SessionEvents?

    /// Makes the routes.
    ///
    /// - Parameters:
    ///   - store: where sessions are kept.
    ///   - records: where logins under way are kept; usually the same store, and shared by all replicas as that is.
    ///   - relyingParty: speaks to the identity provider. Its redirect URI is `/auth/callback` at `publicURL`.
    ///   - publicURL: where browsers reach the app.
    ///   - pages: how error pages look.
    ///   - events: what to tell of logins and requests that were refused.
    ///   - maximumPendingLogins: a bound on what strangers can make this replica store.
    public init(
        store: any SessionStore, records: any OneTimeRecordStore, relyingParty: RelyingParty, publicURL: PublicURL,
        pages: any ErrorPageRenderer = PlainErrorPages(), events: SessionEvents? = nil,
        maximumPendingLogins: Int = Self.maximumPendingLogins
    ) {
        self.store = store
        self.relyingParty = relyingParty
        self.publicURL = publicURL
        self.pages = pages
        self.cookies = CookieSettings(publicURL: publicURL)
        self.requestGuard = RequestGuard(publicURL: publicURL)
        self.transactions = LoginTransactions(records: records)
        self.events = events
        self.budget = LoginBudget(
            limit: maximumPendingLogins, window: .seconds(LoginTransactions.lifetimeInSeconds))
    }

    /// Adds the routes.
    public func add(to router: some RouterMethods<Context>) {
        router.get("/auth/login", use: login)
        router.get("/auth/callback", use: callback)
        router.get("/auth/logout", use: logout)
        router.post("/auth/logout", use: logout)
        router.get("/auth/me", use: me)
    }

    /// `GET /auth/me`: the user's claims, never a token.
    @Sendable func me(_ request: Request, _ context: Context) async throws -> Response {
        if let refusal = requestGuard.refusalOfOrigin(request.headers) {
            events?.emit(SessionEvent(.denied(reason: refusal.rawValue)))
            return .json(["error": .string(refusal.rawValue)], status: .forbidden)
        }
        guard let live = try await context.session.current() else { return .unauthenticated }
        return .json(live.session.userInfo.claims)
    }
}

extension Response {
    /// 401 in JSON, without a redirect that a program could not follow.
    package static var unauthenticated: Response { .json(["error": "unauthenticated"], status: .unauthorized) }
}
