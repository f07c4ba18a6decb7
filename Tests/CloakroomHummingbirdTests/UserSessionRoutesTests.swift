import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing

@Suite struct UserSessionRoutesTests {
    private let store = quietStore()

    private func app() -> some ApplicationProtocol {
        let endpoints = AuthEndpoints(store: store, records: store, provider: OpenProvider(), publicURL: publicURL)
        return application(store) {
            UserSessionRoutes(endpoints, store: store, publicURL: publicURL, page: "/mine").add(to: $0)
        }
    }

    private func sessions(_ response: TestResponse) throws -> [JSONObject] {
        let answer = try JSONValue(parsing: Array(response.body.readableBytesView)).object
        return try #require(answer?["sessions"]?.array).compactMap(\.object)
    }

    @Test("A user sees their own sessions and no other's, with this one marked, and no secret")
    func list() async throws {
        let (first, second) = (try await store.begin(userAgent: "one"), try await store.begin(userAgent: "two"))
        let bob = try await store.begin("bob")
        try await app().test(.router) { client in
            let response = try await client.send(.get, "/auth/sessions", HTTPFields().with(first), status: .ok)
            #expect(response.headers[.cacheControl] == "no-store")
            let list = try sessions(response)
            let handles = Set(list.compactMap { $0["handle"]?.string })
            #expect(handles == [first.handle.description, second.handle.description])
            let current = try #require(list.first { $0["current"]?.bool == true })
            #expect(current["handle"]?.string == first.handle.description)
            #expect(
                current.members.map(\.name)
                    == ["handle", "current", "began", "last_used", "ends", "device", "address", "provider"])
            #expect(current["address"]?.string == "192.0.2.7" && current["provider"]?.string == "https://sso.example")
            let text = String(buffer: response.body)
            for id in [first, second, bob] { #expect(!text.contains(id.secret)) }
            #expect(!text.contains("token of"))
            try await client.send(.get, "/auth/sessions", status: .unauthorized)
            try await client.send(.get, "/auth/sessions", foreignForm.with(first), status: .forbidden)
        }
    }

    @Test("A user ends one of their own sessions, never another user's, and only from the app's own pages")
    func endOne() async throws {
        let (mine, other, bob) = (try await store.begin(), try await store.begin(), try await store.begin("bob"))
        try await app().test(.router) { client in
            for fields in [HTTPFields(), api.merging(foreignForm)] {
                try await client.send(.delete, "/auth/sessions/\(other.handle)", fields.with(mine), status: .forbidden)
            }
            try await client.send(.post, "/auth/sessions/\(other.handle)", foreignForm.with(mine), status: .forbidden)
            try await client.send(.delete, "/auth/sessions/\(other.handle)", api, status: .unauthorized)
            for name in [bob.handle.description, "x", String(repeating: "0", count: 24), mine.secret] {
                try await client.send(.delete, "/auth/sessions/\(name)", api.with(mine), status: .notFound)
                try await client.send(.post, "/auth/sessions/\(name)", ownForm.with(mine), status: .seeOther)
            }
            #expect(try await store.sessionCount() == 3)

            let gone = try await client.send(
                .delete, "/auth/sessions/\(other.handle)", api.with(mine), status: .noContent)
            #expect(gone.headers[.setCookie] == nil)
            #expect(try await store.session(for: other) == nil)
            let form = try await client.send(
                .post, "/auth/sessions/\(mine.handle)", ownForm.with(mine), status: .seeOther)
            #expect(form.headers[.location] == "/mine")
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
            let answer = try await client.send(.delete, "/auth/sessions", api.with(mine), status: .ok)
            #expect(String(buffer: answer.body) == #"{"ended":3}"#)
            _ = try await store.begin()
            let form = try await client.send(.post, "/auth/sessions", ownForm.with(mine), status: .seeOther)
            #expect(form.headers[.location] == "/mine")
            #expect(
                try await store.sessionCount(ofUser: UserIdentity(issuer: "https://sso.example", subject: "ada")) == 1)

            let other = try await store.begin()
            try await client.send(.post, "/auth/logout-everywhere", foreignForm.with(mine), status: .forbidden)
            try await client.send(.post, "/auth/logout-everywhere", HTTPFields().with(mine), status: .forbidden)
            #expect(try await store.session(for: other) != nil)
            let end = try await client.send(.post, "/auth/logout-everywhere", ownForm.with(mine), status: .seeOther)
            #expect(end.headers[.location] == "https://sso.example/logout")
            #expect(end.headers[.setCookie]?.contains("Max-Age=0") == true)
            for id in [mine, other] { #expect(try await store.session(for: id) == nil) }
            #expect(try await store.session(for: bob) != nil)
        }
    }

    @Test("A user without a name at the provider has this one session")
    func nobody() async throws {
        let mine = try await store.begin(nil)
        _ = try await store.begin(nil)
        try await app().test(.router) { client in
            let response = try await client.send(.get, "/auth/sessions", HTTPFields().with(mine), status: .ok)
            #expect(try sessions(response).compactMap { $0["handle"]?.string } == [mine.handle.description])
            let answer = try await client.send(.delete, "/auth/sessions", api.with(mine), status: .ok)
            #expect(String(buffer: answer.body) == #"{"ended":0}"#)
            try await client.send(.delete, "/auth/sessions/\(mine.handle)", api.with(mine), status: .noContent)
            #expect(try await store.session(for: mine) == nil)
        }
    }
}
