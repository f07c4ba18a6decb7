import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Testing

let publicURL: PublicURL = {
    guard let url = PublicURL("http://localhost:8020") else { preconditionFailure("it is one") }
    return url
}()
let ownForm: HTTPFields = [.origin: "http://localhost:8020", .accept: "text/html"]
let foreignForm: HTTPFields = [.origin: "https://evil.example", .accept: "text/html"]
let page: HTTPFields = [.accept: "text/html"]
let api: HTTPFields = [.csrf: "1"]

func quietStore() -> InMemorySessionStore { InMemorySessionStore(logger: Logger(label: "test")) }

extension SessionStore {
    /// A session of this user.
    func begin(_ subject: String? = "ada", userAgent: String? = nil) async throws -> SessionID {
        try await createSession(
            NewSession(
                tokens: TokenSet(accessToken: "token of \(subject ?? "nobody")"),
                userInfo: subject.map { UserInfo(subject: $0) } ?? UserInfo(claims: [:]),
                issuer: "https://sso.example", client: SessionClient(userAgent: userAgent, address: "192.0.2.7")))
    }
}

extension HTTPFields {
    /// These fields with a session's cookie.
    func with(_ id: SessionID) -> HTTPFields {
        var fields = self
        fields[.cookie] = "cloakroom_session=\(id.secret)"
        return fields
    }
}

/// A provider that lets everyone in as Ada.
struct OpenProvider: LoginProvider {
    func authorizationURL(for pending: PendingLogin) async throws(OIDCError) -> String {
        "https://sso.example/authorize?state=\(pending.state)"
    }

    func finishLogin(
        _ response: AuthorizationResponse, pending: PendingLogin
    ) async throws(OIDCError) -> LoginResult {
        LoginResult(
            tokens: TokenSet(accessToken: "token of ada"), userInfo: UserInfo(subject: "ada"),
            issuer: "https://sso.example", providerSessionID: nil)
    }

    func logoutURL(idToken: String?, state: String?) async throws(OIDCError) -> String? { "https://sso.example/logout" }
}

/// A refresher that gives what it was told to.
struct StatedRefresher: SessionRefresher {
    let outcome: @Sendable (Session) -> RefreshOutcome
    func freshSession(_ session: Session, for id: SessionID) async throws -> RefreshOutcome { outcome(session) }
}

/// Routes behind everything that they need.
func application(
    _ store: any SessionStore, refresher: (any SessionRefresher)? = nil,
    _ build: (Router<TestContext>) -> Void
) -> some ApplicationProtocol {
    let router = Router(context: TestContext.self)
    router.addMiddleware {
        FailureMiddleware()
        SessionMiddleware(store: store, publicURL: publicURL, refresher: refresher)
    }
    build(router)
    return Application(router: router)
}

extension TestClientProtocol {
    @discardableResult
    func send(
        _ method: HTTPRequest.Method, _ path: String, _ fields: HTTPFields = [:], status: HTTPResponse.Status,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> TestResponse {
        try await execute(uri: path, method: method, headers: fields) { response in
            let body = String(buffer: response.body)
            #expect(response.status == status, "\(method) \(path): \(body)", sourceLocation: sourceLocation)
            return response
        }
    }
}
