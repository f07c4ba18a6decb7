public import Cloakroom
import HTTPTypes
import Logging

/// Login and logout over HTTP, for any framework: a request's head goes in, a whole answer comes out.
///
/// ```swift
/// let session = RequestSession(head.headerFields, in: store, cookies: endpoints.cookies)
/// if let endpoint = AuthEndpoint(rawValue: path) {
///     let request = SessionRequest(head, session: session, id: requestID, logger: logger)
///     return await endpoints.answer(endpoint, request)
/// }
/// ```
public struct AuthEndpoints: Sendable {
    /// The names of the cookies.
    public let cookies: CookieSettings

    let store: any SessionStore
    let provider: any LoginProvider
    let publicURL: PublicURL
    let pages: any ErrorPageRenderer
    let requestGuard: RequestGuard
    let transactions: LoginTransactions
    let events: SessionEvents?
    private let failures: FailureAnswers

    /// Makes the endpoints.
    ///
    /// - Parameters:
    ///   - store: where sessions are kept.
    ///   - records: makes sure that a login is completed once; usually the same store, and shared by all replicas as that is.
    ///   - provider: the identity provider. Its redirect URI is `/auth/callback` at `publicURL`.
    ///   - publicURL: where browsers reach the app.
    ///   - pages: how error pages look.
    ///   - events: what to tell of logins and requests that were refused.
    public init(
        store: any SessionStore, records: any OneTimeRecordStore, provider: any LoginProvider, publicURL: PublicURL,
        pages: any ErrorPageRenderer = PlainErrorPages(), events: SessionEvents? = nil
    ) {
        self.store = store
        self.provider = provider
        self.publicURL = publicURL
        self.pages = pages
        self.cookies = CookieSettings(publicURL: publicURL)
        self.requestGuard = RequestGuard(publicURL: publicURL)
        self.transactions = LoginTransactions(records: records)
        self.events = events
        self.failures = FailureAnswers(pages: pages)
    }

    /// Answers a request. Errors become answers too: 503 when the store or the provider can't be asked.
    public func answer(_ endpoint: AuthEndpoint, _ request: SessionRequest) async -> HTTPAnswer {
        guard endpoint.methods.contains(request.head.method) else { return .methodNotAllowed(endpoint.methods) }
        do {
            return switch endpoint {
            case .login: try await login(request)
            case .callback: try await callback(request)
            case .logout: try await logout(request)
            case .me: try await me(request)
            }
        } catch {
            return failures.answer(to: error, request.head, requestID: request.id, logger: request.logger)
        }
    }

    private func me(_ request: SessionRequest) async throws -> HTTPAnswer {
        if let refusal = requestGuard.refusalOfOrigin(request.head.headerFields) {
            events?.emit(SessionEvent(.denied(reason: refusal.rawValue)))
            return .refused(refusal)
        }
        let query = QueryParameters(request.head.query)
        let hasDetails = query?["details"] == "1"
        if query?["peek"] == "1" { return try await peek(request, hasDetails: hasDetails) }
        guard let live = try await request.session.current() else { return .unauthenticated }
        return Self.me(used(live.session), hasDetails: hasDetails)
    }
}
