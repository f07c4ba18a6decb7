public import Cloakroom
import HTTPTypes
import Logging

/// Login and logout over HTTP, for any framework: a request's head goes in, a whole answer comes out.
///
/// ```swift
/// let session = RequestSession(head.headerFields, in: store, cookies: endpoints.cookies)
/// if let endpoint = AuthEndpoint(path: path) {
///     let request = SessionRequest(head, session: session, id: requestID, logger: logger)
///     return await endpoints.answer(endpoint, request)
/// }
/// ```
public struct AuthEndpoints: Sendable {
    /// The names of the cookies.
    public let cookies: CookieSettings
    /// Where each endpoint is; see ``moved(to:)``.
    public internal(set) var paths: AuthPaths = [:]

    let store: any SessionStore
    let provider: any LoginProvider
    let publicURL: PublicURL
    let pages: any ErrorPageRenderer
    let requestGuard: RequestGuard
    let transactions: LoginTransactions
    let directory: (any SessionDirectory)?
    let logouts: (any ProviderLogouts)?
    let notes: LogoutNotes
    let events: SessionEvents?
    let endNotes: (any SessionEndNotes)?
    let providerTitle: @Sendable (_ issuer: String?) -> String?
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
    ///   - directory: where a user's own sessions are listed and ended, and those that the provider ends; usually the same store.
    ///     Without one there are no such routes.
    ///   - endNotes: says why a session ended, to those who still ask for it; usually the same store.
    ///   - providerTitle: what people call the provider with this issuer, `nil` being that of sessions that name none.
    ///   - logouts: verifies logouts that begin at the provider. Without this and `directory`, the two routes for those answer
    ///     404.
    public init(
        store: any SessionStore, records: any OneTimeRecordStore, provider: any LoginProvider, publicURL: PublicURL,
        pages: any ErrorPageRenderer = PlainErrorPages(), events: SessionEvents? = nil,
        directory: (any SessionDirectory)? = nil, endNotes: (any SessionEndNotes)? = nil,
        providerTitle: @escaping @Sendable (_ issuer: String?) -> String? = { $0 },
        logouts: (any ProviderLogouts)? = nil
    ) {
        self.store = store
        self.provider = provider
        self.publicURL = publicURL
        self.pages = pages
        self.cookies = CookieSettings(publicURL: publicURL)
        self.requestGuard = RequestGuard(publicURL: publicURL)
        self.transactions = LoginTransactions(records: records)
        self.directory = directory
        self.logouts = logouts
        self.notes = LogoutNotes(records: records)
        self.events = events
        self.endNotes = endNotes
        self.providerTitle = providerTitle
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
            case .sessions: try await sessions(request, in: sessionDirectory(request))
            case .session: try await session(request, in: sessionDirectory(request))
            case .logoutEverywhere: try await logoutEverywhere(request, in: sessionDirectory(request))
            case .backchannelLogout: try await backchannelLogout(request)
            case .frontchannelLogout: try await frontchannelLogout(request)
            case .keys: keys()
            }
        } catch {
            return failures.answer(to: error, request.head, requestID: request.id, logger: request.logger)
        }
    }

    /// A provider may keep them for a while, and asks again when it meets a key that is not among them.
    private func keys() -> HTTPAnswer {
        var answer = HTTPAnswer.json(provider.clientKeys)
        answer.headers[.cacheControl] = "public, max-age=300"
        return answer
    }

    private func me(_ request: SessionRequest) async throws -> HTTPAnswer {
        if let refusal = requestGuard.refusalOfOrigin(request.head.headerFields) {
            events?.emit(SessionEvent(.denied(reason: refusal.rawValue)))
            return .refused(refusal)
        }
        let query = QueryParameters(request.head.query)
        let hasDetails = query?["details"] == "1"
        if query?["peek"] == "1" { return try await peek(request, hasDetails: hasDetails) }
        guard let live = try await request.session.current() else { return await unauthenticated(request) }
        return Self.me(used(live.session), hasDetails: hasDetails)
    }

    private func sessionDirectory(_ request: SessionRequest) throws -> any SessionDirectory {
        guard let directory else { throw RequestFailure(.notFound, requestID: request.id) }
        return directory
    }

    /// 401, with the reason if the request has a session that was ended lately.
    func unauthenticated(_ request: SessionRequest) async -> HTTPAnswer {
        guard let endNotes, let id = request.session.presentedID else { return .unauthenticated }
        return .unauthenticated(because: try? await endNotes.endReason(of: id.handle))
    }
}
