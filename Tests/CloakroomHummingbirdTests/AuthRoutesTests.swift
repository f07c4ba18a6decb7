import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing

@Suite struct AuthRoutesTests {
    private func endpoints(_ store: InMemorySessionStore, _ paths: AuthPaths = [:]) -> AuthEndpoints {
        AuthEndpoints(store: store, records: store, provider: OpenProvider(), publicURL: publicURL).moved(to: paths)
    }

    private func text(_ response: TestResponse) -> String {
        String(buffer: response.body) + response.headers.map { "\($0.name): \($0.value)\n" }.joined()
    }

    @Test("Routes of login and logout are where the app puts them, and lead nowhere else", arguments: [false, true])
    func movedPaths(isWhole: Bool) async throws {
        let store = quietStore()
        let endpoints = endpoints(store, AuthPaths(under: "/account"))
        let app = application(store) { router in
            if isWhole {
                AuthRoutes(endpoints).add(to: router)
            } else {
                LoginRoutes(endpoints).add(to: router)
                LogoutRoutes(endpoints).add(to: router)
            }
        }
        try await app.test(.router) { client in
            let begin = try await client.send(.get, "/account/login?return_to=/shop", page, status: .seeOther)
            let location = try #require(begin.headers[.location])
            #expect(location.hasPrefix("https://sso.example/authorize?state="))
            let state = location.drop { $0 != "=" }.dropFirst()
            let cookie = try #require(begin.headers[.setCookie]?.prefix { $0 != ";" })
            let back: HTTPFields = [.cookie: String(cookie), .accept: "text/html"]
            let done = try await client.send(.get, "/account/callback?code=1&state=\(state)", back, status: .seeOther)
            #expect(done.headers[.location] == "/shop")
            let session = try #require(done.headers[.setCookie]?.prefix { $0 != ";" })
            let own: HTTPFields = [.cookie: String(session)]
            try await client.send(.get, "/account/me", own, status: .ok)

            // Pages of errors and questions lead to where the routes are.
            let again = try await client.send(
                .get, "/account/callback?code=1&state=\(state)", back, status: .badRequest)
            #expect(text(again).contains("/account/login") && !text(again).contains("/auth/"))
            let foreign = own.merging(page).merging([HTTPField.Name("Sec-Fetch-Site")!: "cross-site"])
            let question = try await client.send(.get, "/account/logout", foreign, status: .forbidden)
            #expect(text(question).contains("action=\"/account/logout\"") && !text(question).contains("/auth/"))

            let end = try await client.send(.post, "/account/logout", own.merging(ownForm), status: .seeOther)
            #expect(end.headers[.location] == "https://sso.example/logout")
            try await client.send(.get, "/account/me", own, status: .unauthorized)
            for path in ["/auth/login", "/auth/callback", "/auth/logout", "/auth/me"] {
                try await client.send(.get, path, page, status: .notFound)
            }
        }
    }

    @Test("R11: a login at another path does not return to itself")
    func noCircles() async throws {
        let store = quietStore()
        let endpoints = endpoints(store, [.login: "/in", .logout: "/out"])
        let app = application(store) { AuthRoutes(endpoints).add(to: $0) }
        try await app.test(.router) { client in
            for (path, expected) in [("/in", "/"), ("/in?return_to=/x", "/"), ("/out#x", "/"), ("/inside", "/inside")] {
                let target = "/in?return_to=" + path.replacing("?", with: "%3F").replacing("#", with: "%23")
                let begin = try await client.send(.get, target, page, status: .seeOther)
                let state = try #require(begin.headers[.location]).drop { $0 != "=" }.dropFirst()
                let cookie = try #require(begin.headers[.setCookie]?.prefix { $0 != ";" })
                let done = try await client.send(
                    .get, "/auth/callback?code=1&state=\(state)", [.cookie: String(cookie)], status: .seeOther)
                #expect(done.headers[.location] == expected, "\(path)")
            }
        }
    }

    @Test("Paths: the default ones, single ones moved, all moved; a path finds its endpoint")
    func paths() {
        let moved: AuthPaths = [.login: "/in"]
        #expect(moved[.login] == "/in" && moved[.logout] == "/auth/logout" && AuthPaths()[.login] == "/auth/login")
        #expect(moved.endpoint(at: "/in") == .login && moved.endpoint(at: "/auth/login") == nil)
        #expect(AuthPaths().endpoint(at: "/auth/me") == .me && AuthPaths().endpoint(at: "/auth/me/") == nil)
        #expect(AuthPaths(under: "/a/b")[.callback] == "/a/b/callback")
        let all = AuthPaths(under: "/a")
        #expect(all[.logoutEverywhere] == "/a/logout-everywhere" && all[.session] == "/a/sessions/{handle}")
        #expect(all.endpoint(at: "/a/sessions") == .sessions && all.endpoint(at: "/a/sessions/0f") == .session)
        #expect(all.endpoint(at: "/a/sessions/") == nil && all.endpoint(at: "/a/sessions/0f/1") == nil)
        #expect(all.endpoint(at: "/auth/sessions/0f") == nil)
        let handle = SessionID().handle
        #expect(all.path(ofSession: handle) == "/a/sessions/\(handle)")
    }

    @Test("A path that is none, or that two endpoints share, ends the program with a word on it")
    func wrongPaths() async {
        await #expect(processExitsWith: .failure) { _ = AuthPaths([.login: "login"]) }
        await #expect(processExitsWith: .failure) { _ = AuthPaths([.login: "//evil.example"]) }
        await #expect(processExitsWith: .failure) { _ = AuthPaths([.login: "/{x}"]) }
        await #expect(processExitsWith: .failure) { _ = AuthPaths([.login: "/auth/logout"]) }
        await #expect(processExitsWith: .failure) { _ = AuthPaths([.session: "/mine"]) }
    }
}
