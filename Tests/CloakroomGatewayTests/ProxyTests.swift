import AsyncHTTPClient
import Cloakroom
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import CloakroomGateway

@Suite struct ProxyTests {
    private func json(_ answer: Browser.Answer) throws -> JSONObject {
        let value = try JSONValue(parsing: Array(answer.body.utf8))
        return try #require(value.object)
    }

    @Test("R36, R38: the upstream gets the request with the user's token, and nothing that is not its business")
    func forward() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            var headers = apiHeaders
            headers.add(contentsOf: [
                "Authorization": "Bearer evil", "X-Forwarded-For": "6.6.6.6", "X_Forwarded_User": "evil", "X-App": "1",
                "Forwarded": "for=6.6.6.6",
            ])
            browser["other"] = "1"
            let answer = try await browser.send(.POST, "/api/echo/a%20b?x=y&z", headers, body: "hello")
            #expect(answer.status == 200 && answer.headers["cache-control"] == ["no-store"])
            let echo = try json(answer)
            #expect(echo["method"]?.string == "POST" && echo["target"]?.string == "/api/echo/a%20b?x=y&z")
            #expect(echo["body"]?.string == "hello")
            let got = try #require(echo["headers"]?.object)
            #expect(got["authorization"]?.string?.hasPrefix("Bearer ey") == true)
            #expect(got["cookie"]?.string == "other=1" && got["x-app"]?.string == "1")
            #expect(got["x-forwarded-for"]?.string == "127.0.0.1" && got["x-forwarded-proto"]?.string == "http")
            #expect(got["x-forwarded-host"]?.string == "localhost:8020")
            for name in ["forwarded", "x_forwarded_user", "x-csrf"] { #expect(got[name] == nil) }
        }
    }

    @Test("requests live on the event loops that the gateway is given")
    func eventLoops() async throws {
        try await HeldLoop.with { held in
            try await Bench.with(Bench.Options(eventLoopGroup: held.group)) { bench in
                let browser = bench.browser()
                try await browser.logIn()
                let elsewhere = "http://localhost:\(bench.providerPort)/.well-known/openid-configuration"
                for path in ["/healthz", "/api/echo"] {
                    let wasHeld = try await held.holdsUp {
                        let answer = try await browser.get(path, apiHeaders)
                        #expect(answer.status == 200)
                    } while: {
                        for _ in 0..<20 { _ = try await browser.get(elsewhere) }
                    }
                    #expect(wasHeld, "\(path)")
                }
            }
        }
    }

    @Test(
        "R31, R32, R33, R35: without the static field, from another site or without a session, the upstream sees nothing"
    )
    func refused() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            #expect(try await browser.get("/api/echo", apiHeaders).status == 401)
            try await browser.logIn()
            #expect(try await browser.get("/api/echo").status == 403)
            #expect(try await browser.get("/api/echo", ["X-CSRF": "1", "Sec-Fetch-Site": "cross-site"]).status == 403)
            #expect(try await browser.get("/api/echo", ["X-CSRF": "1", "Sec-Fetch-Site": "same-site"]).status == 403)
            #expect(try await browser.get("/api/echo", ["X-CSRF": "1", "Origin": "null"]).status == 403)
            let preflight = try await browser.send(
                .OPTIONS, "/api/echo", ["Origin": "https://evil.example", "Access-Control-Request-Method": "POST"])
            #expect(preflight.status == 403 && preflight.headers["access-control-allow-origin"].isEmpty)
            for path in ["/api/%2e%2e/admin", "/api/a%2fb", "/api/a%5Cb"] {
                #expect(try await browser.get(path, apiHeaders).status == 400, "\(path)")
            }
            #expect(bench.upstream.requestCount == 0)
            #expect(try await browser.get("/api/echo", apiHeaders).status == 200)
        }
    }

    @Test("R32, R36, R40: redirects and statuses are passed on; cookies of our names and CORS are not")
    func responses() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let ticket = browser["cloakroom_session"]
            let redirect = try await browser.get("/api/redirect", apiHeaders)
            #expect(redirect.status == 302 && redirect.location == "https://elsewhere.example/x")
            let cookies = try await browser.get("/api/cookies", apiHeaders)
            #expect(cookies.setCookies == ["mine=1"] && cookies.headers["access-control-allow-origin"].isEmpty)
            #expect(browser["cloakroom_session"] == ticket)
            for code in [404, 418, 500, 503] {
                #expect(try await browser.get("/api/status/\(code)", apiHeaders).status == code)
            }
            #expect(try await browser.get("/api/nothing", apiHeaders).status == 204)
            let head = try await browser.send(.HEAD, "/api/echo", apiHeaders)
            #expect(head.status == 404 && head.body.isEmpty)
        }
    }

    @Test("R40: bodies stream both ways: what is sent comes back before the sending ends")
    func streaming() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let (parts, sending) = AsyncStream<ByteBuffer>.makeStream()
            var request = HTTPClientRequest(url: "http://127.0.0.1:\(bench.gatewayPort)/api/stream")
            request.method = .POST
            request.headers = apiHeaders
            request.headers.add(name: "cookie", value: "cloakroom_session=\(browser["cloakroom_session"] ?? "")")
            request.body = .stream(parts, length: .unknown)
            sending.yield(ByteBuffer(string: "ping"))
            let response = try await testClient.execute(request, timeout: .seconds(30))
            #expect(response.status == .ok)
            var chunks = response.body.makeAsyncIterator()
            #expect(try await chunks.next() == ByteBuffer(string: "ping"))
            // Only now is the rest sent: 8 MiB in all.
            let block = ByteBuffer(repeating: 7, count: 65_536)
            for _ in 0..<128 { sending.yield(block) }
            sending.finish()
            var received = 0
            while let chunk = try await chunks.next() { received += chunk.readableBytes }
            #expect(received == 128 * 65_536)
        }
    }

    @Test("An upstream that is not there is 502, in JSON and without its address")
    func upstreamAway() async throws {
        try await Bench.with(.init(change: { $0.upstreamURL = "http://127.0.0.1:9" })) { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let answer = try await browser.get("/api/echo", apiHeaders)
            #expect(answer.status == 502 && answer.body.contains("upstream_unavailable"))
            #expect(!answer.body.contains("127.0.0.1"))
        }
    }

    @Test("Without an upstream, /api is not there")
    func noUpstream() async throws {
        try await Bench.with(.init(change: { $0.upstreamURL = nil })) { bench in
            let browser = bench.browser()
            try await browser.logIn()
            #expect(try await browser.get("/api/echo", apiHeaders).status == 404)
            let page = try await browser.get("/", pageHeaders)
            #expect(!page.body.contains("Call the sample API"))
        }
    }

    @Test("R18, R21, R22: a due token is refreshed once however many requests wait, and the new one is used and kept")
    func refresh() async throws {
        let store = SharedStore(InMemorySessionStore(logger: Logger(label: "store") { _ in SwiftLogNoOpLogHandler() }))
        try await Bench.with(.init(store: store)) { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let loggedIn = try #require(SessionID(browser["cloakroom_session"] ?? ""))
            let stored = try await store.session(for: loggedIn)
            let granted = try #require(stored)
            // The same grant in a session whose access token is over: due at once, however slow this machine is.
            let id = try await store.createSession(
                tokens: TokenSet(
                    accessToken: "old", refreshToken: granted.tokens.refreshToken, idToken: granted.tokens.idToken,
                    expiresIn: 0),
                userInfo: granted.userInfo)
            browser["cloakroom_session"] = id.secret
            let first = try await store.session(for: id)
            let before = try #require(first)
            let tokens = try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        let answer = try await browser.get("/api/echo", apiHeaders)
                        return try JSONValue(parsing: Array(answer.body.utf8)).object?["headers"]?.object?[
                            "authorization"]?
                            .string
                    }
                }
                var all: Set<String> = []
                for try await token in group { all.insert(try #require(token)) }
                return all
            }
            let second = try await store.session(for: id)
            let after = try #require(second)
            // The provider kills the whole family of a refresh token that is used twice: 20 successes are the proof.
            #expect(tokens == ["Bearer \(after.tokens.accessToken)"])
            #expect(after.tokens.accessToken != before.tokens.accessToken)
            #expect(after.tokens.refreshToken != before.tokens.refreshToken)
            #expect(after.createdAt == before.createdAt && after.expiresAt == before.expiresAt)
        }
    }

    @Test("R19, R24: a refresh token that the provider refuses ends the session with 401")
    func invalidGrant() async throws {
        let store = SharedStore(InMemorySessionStore(logger: Logger(label: "store") { _ in SwiftLogNoOpLogHandler() }))
        try await Bench.with(.init(store: store)) { bench in
            let id = try await store.createSession(
                tokens: TokenSet(accessToken: "old", refreshToken: "not-one-of-theirs", expiresIn: 0),
                userInfo: UserInfo(subject: "s"))
            let browser = bench.browser()
            browser["cloakroom_session"] = id.secret
            #expect(try await browser.get("/api/echo", apiHeaders).status == 401)
            #expect(try await store.session(for: id) == nil)
            #expect(bench.upstream.requestCount == 0)
        }
    }

    @Test(
        "R24: while the provider is away, a token that has not ended is used, an ended one is 503 and the session stays"
    )
    func providerAway() async throws {
        let store = SharedStore(InMemorySessionStore(logger: Logger(label: "store") { _ in SwiftLogNoOpLogHandler() }))
        try await Bench.with(.init(store: store, change: { $0.oidcIssuer = "http://127.0.0.1:9" })) { bench in
            let ended = try await store.createSession(
                tokens: TokenSet(accessToken: "old", refreshToken: "r", expiresIn: 0), userInfo: UserInfo(subject: "s"))
            let browser = bench.browser()
            browser["cloakroom_session"] = ended.secret
            let answer = try await browser.get("/api/echo", apiHeaders)
            #expect(answer.status == 503 && answer.headers["retry-after"] == ["1"] && answer.setCookies.isEmpty)
            #expect(try await store.session(for: ended) != nil)
            // Due, as its own `exp` is near, but not over.
            let exp = Int(Date().timeIntervalSince1970) + 20
            let payload = Data("{\"exp\":\(exp)}".utf8).base64EncodedString().replacing("=", with: "")
            let due = try await store.createSession(
                tokens: TokenSet(accessToken: "e30.\(payload).sig", refreshToken: "r", expiresIn: 300),
                userInfo: UserInfo(subject: "s"))
            browser["cloakroom_session"] = due.secret
            #expect(try await browser.get("/api/echo", apiHeaders).status == 200)
        }
    }

    @Test("R22: a session whose access token ended and that can't be refreshed is over")
    func noRefreshToken() async throws {
        let store = SharedStore(InMemorySessionStore(logger: Logger(label: "store") { _ in SwiftLogNoOpLogHandler() }))
        try await Bench.with(.init(store: store)) { bench in
            let id = try await store.createSession(
                tokens: TokenSet(accessToken: "old", expiresIn: 0), userInfo: UserInfo(subject: "s"))
            let browser = bench.browser()
            browser["cloakroom_session"] = id.secret
            #expect(try await browser.get("/api/echo", apiHeaders).status == 401)
            #expect(try await store.session(for: id) == nil)
        }
    }
}
