import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing

/// The endpoints' own tests are those of the gateway; these are about what the routes hand on to them.
@Suite struct UserSessionRoutesTests {
    private let store = quietStore()

    private func app() -> some ApplicationProtocol {
        let endpoints = AuthEndpoints(
            store: store, records: store, provider: OpenProvider(), publicURL: publicURL, directory: store
        ).moved(to: AuthPaths(under: "/account"))
        return application(store) { UserSessionRoutes(endpoints).add(to: $0) }
    }

    private func sessions(_ response: TestResponse) throws -> [JSONObject] {
        let answer = try JSONValue(parsing: Array(response.body.readableBytesView)).object
        return try #require(answer?["sessions"]?.array).compactMap(\.object)
    }

    @Test("A user sees their own sessions and no other's, with this one marked, as a page and as JSON, and no secret")
    func list() async throws {
        let (first, second) = (try await store.begin(userAgent: "one"), try await store.begin(userAgent: "two"))
        let bob = try await store.begin("bob")
        try await app().test(.router) { client in
            let response = try await client.send(.get, "/account/sessions", api.with(first), status: .ok)
            let list = try sessions(response)
            let handles = Set(list.compactMap { $0["handle"]?.string })
            #expect(handles == [first.handle.description, second.handle.description])
            let current = try #require(list.first { $0["current"]?.bool == true })
            #expect(current["handle"]?.string == first.handle.description)
            #expect(
                current.members.map(\.name)
                    == ["handle", "current", "began", "last_used", "ends", "device", "address", "provider"])
            #expect(current["address"]?.string == "192.0.2.7")
            let shown = try await client.send(.get, "/account/sessions", page.with(first), status: .ok)
            for text in [String(buffer: response.body), String(buffer: shown.body)] {
                for id in [first, second, bob] { #expect(!text.contains(id.secret)) }
                #expect(!text.contains("token of") && !text.contains(bob.handle.description))
            }
            // Its forms lead to where the routes are.
            let text = String(buffer: shown.body)
            #expect(text.contains("action=\"/account/sessions/\(second.handle)\"") && !text.contains("/auth/"))
            #expect(text.contains("action=\"/account/logout-everywhere\""))

            try await client.send(.get, "/account/sessions", api, status: .unauthorized)
            try await client.send(.get, "/account/sessions", HTTPFields().with(first), status: .forbidden)
            let location = try await client.send(.get, "/account/sessions", page, status: .seeOther).headers[.location]
            #expect(location == "/account/login?return_to=%2Faccount%2Fsessions")
            try await client.send(.get, "/auth/sessions", api.with(first), status: .notFound)
        }
    }

    @Test("A user ends one of their own sessions, never another user's, and only from the app's own pages")
    func endOne() async throws {
        let (mine, other, bob) = (try await store.begin(), try await store.begin(), try await store.begin("bob"))
        try await app().test(.router) { client in
            let path = "/account/sessions/\(other.handle)"
            for fields in [HTTPFields(), api.merging(foreignForm)] {
                try await client.send(.delete, path, fields.with(mine), status: .forbidden)
            }
            try await client.send(.post, path, foreignForm.with(mine), status: .forbidden)
            try await client.send(.delete, path, api, status: .unauthorized)
            for name in [bob.handle.description, "x", String(repeating: "0", count: 24), mine.secret] {
                try await client.send(.delete, "/account/sessions/\(name)", api.with(mine), status: .notFound)
                let form = try await client.send(
                    .post, "/account/sessions/\(name)", ownForm.with(mine), status: .seeOther)
                #expect(form.headers[.location] == "/account/sessions")
            }
            #expect(try await store.sessionCount() == 3)

            let gone = try await client.send(.delete, path, api.with(mine), status: .ok)
            #expect(gone.headers[.setCookie] == nil)
            #expect(try await store.session(for: other) == nil)
            let form = try await client.send(
                .post, "/account/sessions/\(mine.handle)", ownForm.with(mine), status: .seeOther)
            #expect(form.headers[.setCookie]?.contains("Max-Age=0") == true, "the browser's own cookie goes too")
            #expect(try await store.session(for: mine) == nil)
            #expect(try await store.session(for: bob) != nil)
        }
    }

    @Test("All others end, and log out everywhere ends this one too, here and at the provider")
    func endMany() async throws {
        let mine = try await store.begin()
        let bob = try await store.begin("bob")
        try await app().test(.router) { client in
            for _ in 0..<3 { _ = try await store.begin() }
            let answer = try await client.send(.delete, "/account/sessions", api.with(mine), status: .ok)
            #expect(String(buffer: answer.body) == #"{"ended":3}"#)
            let other = try await store.begin()
            let path = "/account/logout-everywhere"
            try await client.send(.post, path, foreignForm.with(mine), status: .forbidden)
            try await client.send(.post, path, HTTPFields().with(mine), status: .forbidden)
            #expect(try await store.session(for: other) != nil)
            let end = try await client.send(.post, path, ownForm.with(mine), status: .seeOther)
            #expect(end.headers[.location] == "https://sso.example/logout")
            #expect(end.headers[.setCookie]?.contains("Max-Age=0") == true)
            for id in [mine, other] { #expect(try await store.session(for: id) == nil) }
            #expect(try await store.session(for: bob) != nil)
            try await client.send(.get, path, page.with(bob), status: .methodNotAllowed)
        }
    }
}
