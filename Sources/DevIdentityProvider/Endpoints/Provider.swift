import HTTPTypes
import Hummingbird
import Logging
import Synchronization

/// What the endpoints share.
final class Provider: Sendable {
    typealias Context = BasicRequestContext

    /// No form that is sent here is longer.
    static let maximumBodyLength = 64 * 1024

    let configuration: DevIdentityProvider.Configuration
    let signingKey: SigningKey
    let state: ProviderState
    let forms = BrowserForms()
    let logger: Logger
    private let boundPort: Mutex<Int>

    init(configuration: DevIdentityProvider.Configuration, signingKey: SigningKey, logger: Logger) {
        self.configuration = configuration
        self.signingKey = signingKey
        self.state = ProviderState(configuration: configuration)
        self.logger = logger
        self.boundPort = Mutex(configuration.port)
    }

    /// Tells the port that the system chose; until then no request is answered.
    func listening(onPort port: Int) {
        boundPort.withLock { $0 = port }
    }

    var issuer: String {
        configuration.issuer ?? "http://localhost:\(boundPort.withLock { $0 })"
    }

    /// What of an issuer like `https://host/realms/demo` stands before all paths: `realms/demo`.
    private var issuerPath: String {
        let parts = (configuration.issuer ?? "").split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        return parts.count == 4 ? String(parts[3]) : ""
    }

    var mint: TokenMint {
        TokenMint(issuer: issuer, configuration: configuration, signingKey: signingKey)
    }

    func client(_ id: String) -> DevIdentityProvider.Client? {
        configuration.clients.first { $0.id == id }
    }

    func user(_ username: String) -> DevIdentityProvider.User? {
        configuration.users.first { $0.username == username }
    }

    func router() -> Router<Context> {
        let router = Router(context: Context.self)
        router.add(middleware: SecurityHeaders())
        let endpoints = router.group(RouterPath(issuerPath))
        endpoints.get(".well-known/openid-configuration") { _, _ in try self.discovery() }
        endpoints.get("jwks") { _, _ in try Response.json(self.signingKey.jwks) }
        endpoints.get("authorize") { request, _ in self.authorize(request, query: request.uri.query ?? "") }
        endpoints.post("authorize") { request, _ in
            self.authorize(request, query: String(buffer: try await request.body.collect(upTo: Self.maximumBodyLength)))
        }
        endpoints.post("login") { request, _ in try await self.login(request) }
        endpoints.post("token") { request, _ in try await self.token(request) }
        endpoints.get("userinfo") { request, _ in try await self.userInfo(request) }
        endpoints.post("userinfo") { request, _ in try await self.userInfo(request) }
        endpoints.get("end_session") { request, _ in await self.endSession(request, query: request.uri.query ?? "") }
        endpoints.post("end_session") { request, _ in
            await self.endSession(
                request, query: String(buffer: try await request.body.collect(upTo: Self.maximumBodyLength)))
        }
        endpoints.post("end_session/confirm") { request, _ in try await self.confirmEndSession(request) }
        endpoints.get { _, _ in Response.page(Pages.error("There is nothing to see here. Open your application.")) }
        return router
    }

    /// The form that came with a request.
    ///
    /// - Returns: `nil` when it is no form, too long, or can't be read.
    func form(_ request: Request) async throws -> FormParameters? {
        guard isForm(request) else { return nil }
        let body = try await request.body.collect(upTo: Self.maximumBodyLength)
        return FormParameters(String(buffer: body))
    }

    func isForm(_ request: Request) -> Bool {
        let type = request.headers[.contentType]?.split(separator: ";").first ?? ""
        return type.lowercased() == "application/x-www-form-urlencoded"
    }
}
