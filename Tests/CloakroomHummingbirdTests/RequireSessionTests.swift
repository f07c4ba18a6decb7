import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Synchronization
import Testing

private enum CartKey: SessionAttributeKey {
    typealias Value = [String: Int]
    static let name = "cart"
}

@Suite struct RequireSessionTests {
    private func build(_ router: Router<TestContext>) {
        let paths: AuthPaths = [.login: "/sign-in"]
        let pages = router.group()
            .add(middleware: RequireSession(.pages, publicURL: publicURL, paths: paths))
            .group(context: LoggedInContext<TestContext>.self)
        pages.get("/who") { _, context in context.session.user.subject ?? "nobody" }
        pages.post("/who") { _, context in context.session.user.subject ?? "nobody" }
        let api = router.group("/api")
            .add(middleware: RequireSession(.api, publicURL: publicURL))
            .group(context: LoggedInContext<TestContext>.self)
        api.get("cart") { _, context in "\(context.session[CartKey.self]?["coat"] ?? 0)" }
        api.post("cart") { _, context in
            try await context.session.update { $0[CartKey.self, default: [:]]["coat", default: 0] += 1 }
            // What the handler sees is what is stored now.
            return "\(context.session.attributes[CartKey.self]?["coat"] ?? 0)"
        }
        api.get("token") { _, context in try await context.session.accessToken() }
        // Where the middleware is missing.
        router.group(context: LoggedInContext<TestContext>.self).get("/unguarded") { _, _ in "in" }
    }

    @Test("R44: without a session, a page is sent to the login and back, a form to the login, a program gets 401")
    func withoutSession() async throws {
        let store = quietStore()
        let ended = try await store.begin()
        try await store.deleteSession(ended)
        try await application(store, build).test(.router) { client in
            for fields in [page, page.with(ended)] {
                let response = try await client.send(.get, "/who?a=b&c=/d", fields, status: .seeOther)
                #expect(response.headers[.location] == "/sign-in?return_to=%2Fwho%3Fa%3Db%26c%3D%2Fd")
                let form = fields.merging(ownForm)
                #expect(try await client.send(.post, "/who", form, status: .seeOther).headers[.location] == "/sign-in")
            }
            let response = try await client.send(.get, "/who", [.accept: "application/json"], status: .unauthorized)
            #expect(String(buffer: response.body).contains(#""error":"unauthenticated""#))
            try await client.send(.get, "/api/cart", api, status: .unauthorized)
            // The API is never a redirect, whoever asks.
            try await client.send(.get, "/api/cart", api.merging(page), status: .unauthorized)
        }
    }

    @Test("R31, R33: forms of other sites and API requests without the static field reach nothing")
    func crossSite() async throws {
        let store = quietStore()
        let id = try await store.begin()
        try await application(store, build).test(.router) { client in
            try await client.send(.get, "/who", page.with(id), status: .ok)
            try await client.send(.post, "/who", ownForm.with(id), status: .ok)
            try await client.send(.post, "/who", foreignForm.with(id), status: .forbidden)
            try await client.send(.post, "/who", ownForm.merging([.origin: "null"]).with(id), status: .forbidden)
            let site: HTTPFields = [HTTPField.Name("Sec-Fetch-Site")!: "same-site"]
            try await client.send(.post, "/who", site.with(id), status: .forbidden)
            try await client.send(.get, "/api/cart", HTTPFields().with(id), status: .forbidden)
            try await client.send(.post, "/api/cart", ownForm.with(id), status: .forbidden)
            try await client.send(.post, "/api/cart", api.merging(foreignForm).with(id), status: .forbidden)
            let response = try await client.send(.get, "/api/cart", api.with(id), status: .ok)
            #expect(String(buffer: response.body) == "0", "nothing of the above was carried out")
        }
    }

    @Test("The app's own data is in the session: typed, current after a change, another session's apart")
    func attributes() async throws {
        let store = quietStore()
        let (ada, bob) = (try await store.begin(), try await store.begin("bob"))
        try await application(store, build).test(.router) { client in
            for count in 1...3 {
                let response = try await client.send(.post, "/api/cart", api.with(ada), status: .ok)
                #expect(String(buffer: response.body) == "\(count)")
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask { try await client.send(.post, "/api/cart", api.with(ada), status: .ok) }
                }
                try await group.waitForAll()
            }
            let response = try await client.send(.get, "/api/cart", api.with(ada), status: .ok)
            #expect(String(buffer: response.body) == "53")
            let other = try await client.send(.get, "/api/cart", api.with(bob), status: .ok)
            #expect(String(buffer: other.body) == "0")
        }
        #expect(try await store.session(for: ada)?[CartKey.self] == ["coat": 53])
    }

    @Test("A session that ends while its request is served is not written to: 401")
    func endedMeanwhile() async throws {
        let store = quietStore()
        let id = try await store.begin()
        let session = RequestSession(
            HTTPFields().with(id), in: store, cookies: CookieSettings(publicURL: publicURL))
        #expect(try await session.current() != nil)
        try await store.deleteSession(id)
        #expect(try await session.update { $0[CartKey.self] = [:] } == nil)
        #expect(session.known == nil)
        #expect(try await session.current() == nil)
        #expect(try await session.attributes.isEmpty)
        let none = RequestSession([:], in: store, cookies: CookieSettings(publicURL: publicURL))
        #expect(try await none.update { $0[CartKey.self] = [:] } == nil)
    }

    @Test("A handler gets a fresh token; none while the provider is down, which is 503 and keeps the session")
    func tokens() async throws {
        let store = quietStore()
        let id = try await store.begin()
        let cases: [(RefreshOutcome?, HTTPResponse.Status, String)] = [
            (nil, .ok, "token of ada"), (.ended, .unauthorized, ""),
            (.providerUnavailable(retryAfter: .milliseconds(6500)), .serviceUnavailable, ""),
        ]
        for (outcome, status, text) in cases {
            let refresher = outcome.map { outcome in StatedRefresher { _ in outcome } }
            try await application(store, refresher: refresher, build).test(.router) { client in
                let response = try await client.send(.get, "/api/token", api.with(id), status: status)
                if status == .ok { #expect(String(buffer: response.body) == text) }
                if status == .serviceUnavailable {
                    #expect(response.headers[.retryAfter] == "7")
                    #expect(String(buffer: response.body).contains(#""error":"provider_unavailable""#))
                    #expect(response.headers[.setCookie] == nil)
                }
            }
        }
        let renewing = StatedRefresher { session in
            var session = session
            session.tokens.accessToken = "a new one"
            return .ready(session)
        }
        try await application(store, refresher: renewing, build).test(.router) { client in
            let response = try await client.send(.get, "/api/token", api.with(id), status: .ok)
            #expect(String(buffer: response.body) == "a new one")
        }
    }

    @Test("R42: a store that can't tell is 503 before the login, not a redirect to it")
    func storeDown() async throws {
        try await application(FailingStore(), build).test(.router) { client in
            for (path, fields) in [("/who", page), ("/api/cart", api)] {
                let response = try await client.send(.get, path, fields.with(SessionID()), status: .serviceUnavailable)
                #expect(response.headers[.setCookie] == nil && response.headers[.location] == nil)
            }
        }
    }

    @Test("A typed context without the middleware lets nobody in")
    func unguarded() async throws {
        let store = quietStore()
        let id = try await store.begin()
        try await application(store, build).test(.router) { client in
            let response = try await client.send(.get, "/unguarded", HTTPFields().with(id), status: .unauthorized)
            #expect(String(buffer: response.body).contains(#""error":"unauthenticated""#))
        }
    }

    @Test(
        "What is done to sessions is told with the request that it was done for; a typed session shows its handle alone"
    )
    func originAndDescription() async throws {
        let seen = Mutex<[RequestOrigin?]>([])
        let store = quietStore()
        let id = try await store.begin()
        let app = application(store) { router in
            router.group().add(middleware: RequireSession(.pages, publicURL: publicURL))
                .group(context: LoggedInContext<TestContext>.self)
                .get("/") { _, context in
                    seen.withLock { $0.append(RequestOrigin.current) }
                    return
                        "\(context.session) \(String(reflecting: context.session)) \(Mirror(reflecting: context.session).children.map { "\($0)" })"
                }
        }
        try await app.test(.router) { client in
            let fields = page.merging([.userAgent: "a browser"]).with(id)
            let response = try await client.send(.get, "/", fields, status: .ok)
            let text = String(buffer: response.body)
            #expect(text.contains(id.handle.description) && !text.contains(id.secret) && !text.contains("token of"))
        }
        let origin = seen.withLock { $0.first } ?? nil
        #expect(origin?.client.userAgent == "a browser" && origin?.requestID?.isEmpty == false)
    }
}

extension HTTPFields {
    /// These fields with others, which replace those of their names.
    func merging(_ others: HTTPFields) -> HTTPFields {
        var fields = self
        for field in others { fields[field.name] = field.value }
        return fields
    }
}
