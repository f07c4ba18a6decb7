import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import Testing

struct TestContext: SessionRequestContext {
    var coreContext: CoreRequestContextStorage
    let session = RequestSession()
    init(source: Source) { coreContext = .init(source: source) }
}

/// A store that can't be reached.
struct FailingStore: SessionStore {
    static let error = SessionStoreError(.unavailable, reason: "connection refused")
    func createSession(_ new: NewSession) async throws -> SessionID { throw Self.error }
    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        throw Self.error
    }
    func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? { throw Self.error }
    func session(for id: SessionID) async throws -> Session? { throw Self.error }
    func deleteSession(_ id: SessionID) async throws { throw Self.error }
    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? { throw Self.error }
    func ping() async throws { throw Self.error }
}

@Suite struct SessionMiddlewareTests {
    private func app(_ store: any SessionStore) throws -> some ApplicationProtocol {
        let publicURL = try #require(PublicURL("http://localhost:8020"))
        let router = Router(context: TestContext.self)
        router.addMiddleware {
            SecurityHeadersMiddleware(publicURL: publicURL)
            FailureMiddleware()
            SessionMiddleware(store: store, publicURL: publicURL)
        }
        router.get("/who") { _, context in
            try await context.session.current()?.session.userInfo.subject ?? "nobody"
        }
        router.get("/public") { _, _ in "public" }
        router.get("/broken") { _, _ -> String in throw FailingStore.error }
        return Application(router: router)
    }

    @Test("R16: a session's cookie finds its session, and nothing else does")
    func lookup() async throws {
        let store = InMemorySessionStore(logger: Logger(label: "test"))
        let id = try await store.createSession(tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "ada"))
        let unknown = SessionID().secret
        let cases: [(String?, String)] = [
            (nil, "nobody"), ("cloakroom_session=\(id.secret)", "ada"), ("cloakroom_session=\(unknown)", "nobody"),
            ("cloakroom_session=\(id.secret); cloakroom_session=\(id.secret)", "nobody"),
            ("cloakroom_session=", "nobody"), ("cloakroom_session=../../etc", "nobody"),
            ("cloakroom_session=\(String(repeating: "a", count: 9000))", "nobody"),
            ("__Host-cloakroom_session=\(id.secret)", "nobody"), ("cloakroom_session=\"\(id.secret)\"", "nobody"),
        ]
        try await app(store).test(.router) { client in
            for (cookie, expected) in cases {
                let headers: HTTPFields = cookie.map { [.cookie: $0] } ?? [:]
                try await client.execute(uri: "/who", method: .get, headers: headers) { response in
                    #expect(response.status == .ok)
                    #expect(String(buffer: response.body) == expected)
                }
            }
        }
    }

    @Test("R42: a store that fails is 503 with Retry-After, and the cookie is kept; who needs no session is served")
    func storeDown() async throws {
        let cookie: HTTPFields = [.cookie: "cloakroom_session=\(SessionID().secret)"]
        try await app(FailingStore()).test(.router) { client in
            try await client.execute(uri: "/who", method: .get, headers: cookie) { response in
                #expect(response.status == .serviceUnavailable)
                #expect(response.headers[.retryAfter] == "5")
                #expect(response.headers[.setCookie] == nil)
                #expect(response.headers[.contentType]?.contains("json") == true)
                #expect(!String(buffer: response.body).contains("refused"))
            }
            var page = cookie
            page[.accept] = "text/html"
            try await client.execute(uri: "/who", method: .get, headers: page) { response in
                #expect(response.status == .serviceUnavailable && response.headers[.setCookie] == nil)
                #expect(response.headers[.contentType]?.contains("html") == true)
                #expect(String(buffer: response.body).contains("Request ID"))
            }
            try await client.execute(uri: "/who", method: .get) { #expect($0.status == .ok) }
            try await client.execute(uri: "/public", method: .get, headers: cookie) { #expect($0.status == .ok) }
        }
    }

    @Test("R43: the security fields are on every response, errors too; HSTS on https alone")
    func securityHeaders() async throws {
        try await app(FailingStore()).test(.router) { client in
            for uri in ["/public", "/broken", "/nothing"] {
                try await client.execute(uri: uri, method: .get) { response in
                    #expect(response.headers[.xContentTypeOptions] == "nosniff")
                    #expect(response.headers[.contentSecurityPolicy]?.contains("frame-ancestors 'none'") == true)
                    #expect(response.headers[.referrerPolicy] == "same-origin")
                    #expect(response.headers[.strictTransportSecurity] == nil)
                }
            }
        }
        let secure = try #require(PublicURL("https://app.example.com"))
        let router = Router()
        router.add(middleware: SecurityHeadersMiddleware(publicURL: secure))
        router.get("/own") { _, _ in Response(status: .ok, headers: [.contentSecurityPolicy: "default-src 'self'"]) }
        try await Application(router: router).test(.router) { client in
            try await client.execute(uri: "/own", method: .get) { response in
                #expect(response.headers[.strictTransportSecurity]?.hasPrefix("max-age=") == true)
                #expect(
                    response.headers[values: .contentSecurityPolicy]
                        == ["default-src 'self'", "frame-ancestors 'none'"])
            }
        }
    }
}
