import Cloakroom
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import CloakroomGateway

@Suite struct LogoutTests {
    @Test(
        "R25 oidcc-client-test-rp-init-logout: the session ends here, then at the provider, which sends the browser back",
        arguments: [HTTPMethod.GET, .POST])
    func logout(method: HTTPMethod) async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let ticket = browser["cloakroom_session"]
            let answer = try await browser.send(method, "/auth/logout", ["Sec-Fetch-Site": "same-origin"])
            #expect(answer.status == 303)
            #expect(answer.setCookies.contains("cloakroom_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"))
            let provider = try #require(answer.location)
            #expect(provider.hasPrefix("http://localhost:\(bench.providerPort)/"))
            for part in ["id_token_hint=", "client_id=app", "post_logout_redirect_uri=", "state="] {
                #expect(provider.contains(part))
            }
            browser["cloakroom_session"] = ticket
            #expect(try await browser.get("/auth/me").status == 401)
            browser["cloakroom_session"] = nil
            let back = try await browser.get(provider).location ?? "nowhere"
            #expect(back.hasPrefix(Bench.publicOrigin + "/?state="))
            #expect(try await browser.get(back).body.contains("You are logged out."))
            // The provider's session is over too: the next login asks for the password again.
            let authorize = try await browser.get("/auth/login").location ?? "nowhere"
            #expect(try await browser.get(authorize).body.contains("password"))
        }
    }

    @Test("the log tells once of a session that begins, that a login replaces, that ends, and of what was denied")
    func events() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            try await browser.logIn()
            #expect(try await browser.send(.POST, "/auth/logout", ["Sec-Fetch-Site": "cross-site"]).status == 403)
            #expect(try await browser.send(.POST, "/auth/logout", ["Sec-Fetch-Site": "same-origin"]).status == 303)
            let lines = bench.log.text.split(separator: "\n")
            func count(_ text: String, _ reason: String? = nil) -> Int {
                lines.count { $0.contains(text) && "\($0) ".contains(reason.map { " reason=\($0) " } ?? " ") }
            }
            #expect(count("A session began") == 2)
            #expect(count("A session ended", "replaced") == 1 && count("A session ended", "logout") == 1)
            #expect(count("A session ended") == 2)
            #expect(count("A request was denied", "cross_site_request") == 1)
        }
    }

    @Test("R33: another site can't log anyone out; its link leads to a page that asks")
    func crossSite() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            for site in ["cross-site", "same-site"] {
                let page = try await browser.get(
                    "/auth/logout", ["Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Accept": "text/html"])
                #expect(page.status == 403 && page.setCookies.isEmpty)
                #expect(page.body.contains("<form method=\"post\" action=\"/auth/logout\">"))
                let post = try await browser.post("/auth/logout", ["Sec-Fetch-Site": site])
                #expect(post.status == 403 && post.setCookies.isEmpty)
            }
            #expect(try await browser.post("/auth/logout", ["Origin": "null"]).status == 403)
            #expect(try await browser.post("/auth/logout", ["Origin": "https://evil.example"]).status == 403)
            #expect(try await browser.get("/auth/me").status == 200)
        }
    }

    @Test("HEAD changes nothing: it logs nobody out, and uses up no callback")
    func head() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let callback = try await browser.callbackAddress(returnTo: "/x")
            for (address, allowed) in [("/auth/logout", "GET, POST"), (callback, "GET")] {
                let answer = try await browser.send(.HEAD, address)
                #expect(answer.status == 405 && answer.headers["allow"] == [allowed] && answer.setCookies.isEmpty)
            }
            for address in ["/", "/auth/me", "/healthz", "/readyz", "/auth/assets/style.css"] {
                let (head, get) = (try await browser.send(.HEAD, address), try await browser.get(address))
                #expect(head.status == 200 && head.body.isEmpty)
                #expect(head.headers["content-length"] == get.headers["content-length"])
            }
            // A body after an answer to HEAD would be taken for the next response on the connection.
            for (headers, status) in [([:], 403), (apiHeaders, 401)] as [(HTTPHeaders, Int)] {
                for _ in 0..<3 {
                    #expect(try await bench.browser().send(.HEAD, "/api/echo", headers).status == status)
                    #expect(try await bench.browser().get("/healthz").status == 200)
                }
            }
            let raw = try await Self.rawHead("/api/echo", port: bench.gatewayPort)
            #expect(raw.hasSuffix("\r\n\r\n") && raw.hasPrefix("HTTP/1.1 403"), "\(raw)")
            #expect(try await browser.get(callback).location == "/x")
            #expect(try await browser.get("/auth/me").status == 200)
        }
    }

    /// All that comes in answer to a HEAD, to the end of the connection.
    private static func rawHead(_ path: String, port: Int) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(
                ByteBuffer(string: "HEAD \(path) HTTP/1.1\r\nHost: localhost:8020\r\nConnection: close\r\n\r\n"))
            var text = ""
            for try await part in inbound { text += String(buffer: part) }
            return text
        }
    }

    @Test("Whoever has no session is logged out already")
    func withoutSession() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            let first = try await browser.post("/auth/logout")
            #expect(first.location == "/")
            browser["cloakroom_session"] = SessionID().secret
            let second = try await browser.post("/auth/logout")
            #expect(second.location == "/")
            #expect(browser["cloakroom_session"] == nil)
        }
    }

    @Test("R42: while the store is down, every request that needs a session is 503, and the cookie is kept")
    func storeDown() async throws {
        let store = SharedStore(InMemorySessionStore(logger: Logger(label: "store") { _ in SwiftLogNoOpLogHandler() }))
        try await Bench.with(.init(store: store)) { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let ticket = browser["cloakroom_session"]
            let callback = try await browser.callbackAddress()
            store.cut()
            let answers = [
                try await browser.get("/", pageHeaders), try await browser.get("/auth/me"),
                try await browser.get("/api/echo", apiHeaders), try await browser.post("/auth/logout"),
                try await browser.get("/auth/login"), try await browser.get(callback, pageHeaders),
                try await browser.get("/readyz"),
            ]
            for answer in answers {
                #expect(answer.status == 503 && answer.headers["retry-after"] == ["5"])
                #expect(answer.setCookies.isEmpty)
            }
            #expect(answers[0].body.contains("You stay logged in"))
            // Why is for operators alone; see the management listener.
            #expect(answers[6].body == #"{"status":"not ready"}"#)
            #expect(try await browser.get("/healthz").status == 200)
            #expect(try await bench.browser().get("/", pageHeaders).status == 200)
            #expect(bench.upstream.requestCount == 0)
            store.cut(false)
            #expect(browser["cloakroom_session"] == ticket)
            #expect(try await browser.get("/auth/me").status == 200)
            #expect(try await browser.get("/readyz").status == 200)
        }
    }

    @Test("R16: unknown, malformed, oversized and repeated cookies are a logged-out view, never an error")
    func badCookies() async throws {
        try await Bench.with { bench in
            let good = bench.browser()
            try await good.logIn()
            let ticket = try #require(good["cloakroom_session"])
            let cookies = [
                "cloakroom_session=", "cloakroom_session=x", "cloakroom_session=\(SessionID().secret)",
                "cloakroom_session=" + String(repeating: "a", count: 8000), "cloakroom_session=%00%0d%0a",
                "cloakroom_session=\(ticket); cloakroom_session=\(ticket)", "cloakroom_session", ";;;=;=", "=",
                "a=" + String(repeating: "b", count: 20_000) + "; cloakroom_session=\(ticket)",
            ]
            for cookie in cookies {
                let headers: HTTPHeaders = ["Cookie": cookie]
                #expect(try await bench.browser().get("/auth/me", headers).status == 401, "\(cookie.prefix(40))")
                let page = try await bench.browser().get("/", ["Cookie": cookie, "Accept": "text/html"])
                #expect(page.status == 200 && page.body.contains("Login with"))
            }
            #expect(try await good.get("/auth/me").status == 200)
        }
    }
}
