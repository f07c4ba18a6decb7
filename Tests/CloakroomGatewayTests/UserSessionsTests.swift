import Cloakroom
import Foundation
import Logging
import NIOHTTP1
import Testing

@testable import CloakroomGateway

@Suite struct UserSessionsTests {
    private static let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
    private static let form = HTTPHeaders([
        ("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "same-origin"),
        ("Origin", Bench.publicOrigin),
    ])

    private func object(_ answer: Browser.Answer) throws -> JSONObject {
        try #require(try JSONValue(parsing: Array(answer.body.utf8)).object)
    }

    private func list(_ browser: Browser) async throws -> [JSONObject] {
        let answer = try await browser.get("/auth/sessions", apiHeaders)
        #expect(answer.status == 200 && answer.headers["cache-control"] == ["no-store"])
        return try #require(try object(answer)["sessions"]?.array).compactMap(\.object)
    }

    private func handle(_ browser: Browser) async throws -> String {
        try #require(try await list(browser).first?["handle"]?.string)
    }

    @Test("R20: a user sees their own sessions, this one first, and no one else's; nothing secret among it")
    func lists() async throws {
        try await Bench.with { bench in
            let (laptop, phone, other) = (bench.browser(), bench.browser(), bench.browser())
            try await laptop.logIn(["User-Agent": Self.firefox])
            try await phone.logIn(["User-Agent": "curl/8.5"])
            try await other.logIn(as: "user", ["User-Agent": "<script>alert(1)</script>"])
            let sessions = try await list(laptop)
            #expect(sessions.count == 2)
            let names = [
                "handle", "current", "began", "last_used", "ends", "device", "address", "provider",
            ]
            for session in sessions { #expect(session.members.map(\.name) == names) }
            #expect(sessions.map { $0["device"]?.string } == ["Firefox on Linux", "curl"])
            #expect(sessions.map { $0["current"] } == [true, false])
            #expect(
                sessions.allSatisfy { $0["address"]?.string == "127.0.0.1" && $0["provider"]?.string == "Keycloak" })
            #expect(sessions.allSatisfy { $0["last_used"] == JSONValue.null }, "without an idle limit no use is noted")
            for name in ["began", "ends"] {
                let time = try #require(sessions[0][name]?.string)
                #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil, "\(time)")
            }
            #expect(try await list(other).map { $0["device"]?.string } == ["Unknown browser"])
            let page = try await laptop.get("/auth/sessions", pageHeaders)
            #expect(page.status == 200 && page.body.contains("Firefox on Linux") && page.body.contains("This session"))
            for secret in [laptop["cloakroom_session"], phone["cloakroom_session"]] {
                let secret = try #require(secret)
                #expect(!page.body.contains(secret))
            }
        }
    }

    @Test("R20: one session is ended by its handle; another user's, an unknown one and nonsense are not found")
    func endsOne() async throws {
        try await Bench.with { bench in
            let (laptop, phone, other) = (bench.browser(), bench.browser(), bench.browser())
            try await laptop.logIn()
            try await phone.logIn()
            try await other.logIn(as: "user")
            let strange = try await handle(other)
            for name in [strange, SessionID().handle.description, "x", "%7Bhandle%7D", "", "..%2F..", "%00"] {
                let answer = try await laptop.send(.DELETE, "/auth/sessions/\(name)", apiHeaders)
                #expect(answer.status == 404, "\(name)")
                #expect(try object(answer)["error"]?.string == "no_such_session")
            }
            #expect(try await laptop.send(.DELETE, "/auth/sessions/a/b", apiHeaders).status == 404)
            #expect(try await other.get("/auth/me").status == 200)
            let done = try await laptop.send(.DELETE, "/auth/sessions/\(try await handle(phone))", apiHeaders)
            #expect(done.status == 200 && done.body == #"{"ended":1}"# && done.setCookies.isEmpty)
            for path in ["/auth/me", "/api/echo"] {
                let refused = try await phone.get(path, apiHeaders)
                #expect(try refused.status == 401 && object(refused)["reason"]?.string == "revoked_by_user")
            }
            #expect(try await laptop.get("/auth/me").status == 200)
            // Its own one: a logout here.
            let own = try await laptop.send(.DELETE, "/auth/sessions/\(try await handle(laptop))", apiHeaders)
            #expect(own.status == 200 && laptop["cloakroom_session"] == nil)
            #expect(try await laptop.get("/auth/sessions", apiHeaders).status == 401)
            let login = try await laptop.get("/auth/sessions", pageHeaders)
            #expect(login.status == 303 && login.location == "/auth/login?return_to=%2Fauth%2Fsessions")
        }
    }

    @Test("R20: all others, or all, are ended from one session, by a program or a form")
    func endsMany() async throws {
        try await Bench.with { bench in
            let browsers = (0..<4).map { _ in bench.browser() }
            for browser in browsers { try await browser.logIn() }
            let other = bench.browser()
            try await other.logIn(as: "user")
            let done = try await browsers[0].send(.DELETE, "/auth/sessions", apiHeaders)
            #expect(done.status == 200 && done.body == #"{"ended":3}"#)
            for browser in browsers.dropFirst() { #expect(try await browser.get("/auth/me").status == 401) }
            #expect(try await browsers[0].get("/auth/me").status == 200)

            try await browsers[1].logIn()
            let form = try await browsers[0].send(.POST, "/auth/sessions", Self.form)
            #expect(form.status == 303 && form.location == "/auth/sessions")
            #expect(try await browsers[1].get("/auth/me").status == 401)

            try await browsers[1].logIn()
            let everywhere = try await browsers[0].send(.POST, "/auth/logout-everywhere", Self.form)
            #expect(everywhere.status == 303 && browsers[0]["cloakroom_session"] == nil)
            #expect(everywhere.location?.hasPrefix("http://localhost:\(bench.providerPort)/") == true)
            #expect(everywhere.location?.contains("id_token_hint=") == true)
            #expect(try await browsers[1].get("/auth/me").status == 401)

            try await browsers[2].logIn()
            try await browsers[3].logIn()
            let program = try await browsers[2].send(.POST, "/auth/logout-everywhere", apiHeaders)
            #expect(program.status == 200 && browsers[2]["cloakroom_session"] == nil)
            #expect(try object(program)["ended"]?.integer == 2)
            let address = try #require(try object(program)["logout_url"]?.string)
            #expect(address.hasPrefix("http://localhost:\(bench.providerPort)/") && address.contains("state="))
            // A script reads this: no token is in it.
            #expect(!address.contains("id_token_hint") && !program.body.contains("eyJ"))
            #expect(try await browsers[3].get("/auth/me").status == 401)
            #expect(try await other.get("/auth/me").status == 200)
        }
    }

    @Test("R31, R33: another site ends no session, nor does a program without the field; a link leads to the page")
    func crossSite() async throws {
        try await Bench.with { bench in
            let (laptop, phone) = (bench.browser(), bench.browser())
            try await laptop.logIn()
            try await phone.logIn()
            let path = "/auth/sessions/\(try await handle(phone))"
            let hostile: [HTTPHeaders] = [
                ["Sec-Fetch-Site": "cross-site"], ["Sec-Fetch-Site": "same-site"], ["Origin": "null"],
                ["Origin": "https://evil.example"], ["Origin": "http://127.0.0.1:8020"],
            ]
            for headers in hostile {
                for (method, path) in [
                    (.POST, path), (.DELETE, path), (.POST, "/auth/sessions"), (.DELETE, "/auth/sessions"),
                    (.POST, "/auth/logout-everywhere"), (.GET, "/auth/sessions"),
                ] as [(HTTPMethod, String)] {
                    for more: HTTPHeaders in [["X-CSRF": "1"], ["Accept": "text/html"]] {
                        // A page that is linked to from elsewhere is shown.
                        if method == .GET, more.contains(name: "accept") { continue }
                        let answer = try await laptop.send(method, path, headers + more)
                        #expect(answer.status == 403 && answer.setCookies.isEmpty, "\(method) \(path) \(headers)")
                    }
                }
            }
            for (method, path) in [(.DELETE, path), (.POST, path), (.GET, "/auth/sessions")] as [(HTTPMethod, String)] {
                let answer = try await laptop.send(method, path, ["Sec-Fetch-Site": "same-origin"])
                #expect(try answer.status == 403 && object(answer)["error"]?.string == "missing_csrf_header")
            }
            let linked = try await laptop.get("/auth/sessions", pageHeaders + ["Sec-Fetch-Site": "cross-site"])
            #expect(linked.status == 200)
            for browser in [laptop, phone] { #expect(try await browser.get("/auth/me").status == 200) }
            #expect(try await laptop.get("/auth/sessions/x").status == 405)
            #expect(try await laptop.get("/auth/logout-everywhere").status == 405)
        }
    }

    @Test("a login beyond the limit tells the session that it ended why: in JSON each time, on the page once")
    func limit() async throws {
        try await Bench.with(.init(change: { $0.sessionMaximumPerUser = 1 })) { bench in
            let (older, newer) = (bench.browser(), bench.browser())
            try await older.logIn()
            try await newer.logIn()
            for path in ["/auth/me", "/api/echo", "/auth/me"] {
                let refused = try await older.get(path, apiHeaders)
                #expect(try refused.status == 401 && object(refused)["reason"]?.string == "limit")
            }
            let cookie = older["cloakroom_session"]
            #expect(try await older.send(.HEAD, "/").setCookies.isEmpty)
            let told = try await older.get("/", pageHeaders)
            #expect(told.status == 200 && told.body.contains("id=\"notice\""))
            #expect(told.body.contains("because you logged in elsewhere") && told.body.contains("Login with"))
            #expect(cookie != nil && older["cloakroom_session"] == nil)
            #expect(try await older.get("/", pageHeaders).body.contains("id=\"notice\"") == false)
            #expect(try await newer.get("/auth/me").status == 200)
            // Nobody has ended what never was.
            let stranger = bench.browser()
            stranger["cloakroom_session"] = SessionID().secret
            #expect(try await stranger.get("/", pageHeaders).body.contains("id=\"notice\"") == false)
            #expect(stranger["cloakroom_session"] != nil)
            let unknown = try await stranger.get("/auth/me")
            #expect(try unknown.status == 401 && object(unknown)["reason"] == nil)
        }
    }

    @Test("R44, R45: errors for programs are problem JSON, with the members of before")
    func problems() async throws {
        let store = SharedStore(InMemorySessionStore(logger: Logger(label: "store") { _ in SwiftLogNoOpLogHandler() }))
        try await Bench.with(.init(store: store)) { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let session = browser["cloakroom_session"]
            browser["cloakroom_session"] = nil
            let cases: [(Browser.Answer, Int, String, String)] = [
                (try await browser.get("/auth/me"), 401, "unauthenticated", "Unauthorized"),
                (try await browser.get("/api/echo", apiHeaders), 401, "unauthenticated", "Unauthorized"),
                (try await browser.get("/api/echo"), 403, "missing_csrf_header", "Forbidden"),
                (try await browser.get("/nothing"), 404, "not_found", "Not Found"),
                (try await browser.post("/auth/me"), 405, "method_not_allowed", "Method Not Allowed"),
                (try await browser.get("/auth/callback?state=x"), 400, "invalid_callback", "Bad Request"),
            ]
            browser["cloakroom_session"] = session
            store.cut()
            let down = try await browser.get("/auth/me")
            store.cut(false)
            for (answer, status, error, title) in cases + [
                (down, 503, "session_store_unavailable", "Service Unavailable")
            ] {
                #expect(answer.status == status && answer.headers["content-type"] == ["application/problem+json"])
                let problem = try object(answer)
                #expect(problem["type"]?.string == "about:blank" && problem["title"]?.string == title)
                #expect(problem["status"]?.integer == status && problem["error"]?.string == error)
                if [400, 503].contains(status) || error == "not_found" {
                    #expect(problem["request_id"]?.string?.isEmpty == false && problem["detail"]?.string != nil)
                }
            }
        }
    }

    @Test("R3, R4: a second tab's failed or repeated callback leads on once its browser is logged in, no other's does")
    func secondTab() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            let first = try await browser.callbackAddress(returnTo: "/first")
            let second = try await browser.callbackAddress(returnTo: "/second?x=1")
            let state = try #require(URLComponents(string: second)?.queryItems?.first { $0.name == "state" }?.value)
            let failed = "/auth/callback?error=access_denied&state=\(state)"
            let stranger = bench.browser()
            try await stranger.logIn(as: "user")
            #expect(try await stranger.get(second, pageHeaders).status == 400, "it is not the stranger's")
            #expect(try await browser.get(failed, pageHeaders).location == nil, "nobody is logged in")
            let cookie = try #require(try await browser.get(first).setCookies.first)
            #expect(cookie.hasPrefix("cloakroom_session="))
            let session = browser["cloakroom_session"]
            for (callback, place) in [(first, "/first"), (failed, "/second?x=1"), (second, "/second?x=1")] {
                let answer = try await browser.get(callback, pageHeaders)
                #expect(answer.status == 303 && answer.location == place && answer.setCookies.isEmpty, "\(callback)")
            }
            #expect(browser["cloakroom_session"] == session)
            // Without the session it is an error again.
            browser["cloakroom_session"] = nil
            #expect(try await browser.get(first, pageHeaders).status == 400)
        }
    }

    @Test("R4, R14: a browser that is sent round in circles is stopped after five logins, and no other browser or tab")
    func loginLoop() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            for _ in 0..<5 { #expect(try await browser.get("/auth/login?return_to=/x", pageHeaders).status == 303) }
            for _ in 0..<3 {
                let stopped = try await browser.get("/auth/login?return_to=/x", pageHeaders)
                #expect(stopped.status == 429 && stopped.headers["retry-after"] == ["5"] && stopped.setCookies.isEmpty)
                #expect(stopped.body.contains("round in circles"))
                #expect(stopped.body.contains("href=\"/auth/login?return_to=/x\""))
            }
            let program = try await browser.get("/auth/login?return_to=/x")
            #expect(try program.status == 429 && object(program)["error"]?.string == "login_loop")
            #expect(try await bench.browser().get("/auth/login?return_to=/x", pageHeaders).status == 303)
            // Fifty tabs that are restored at once go on, as each wants another page.
            for tab in 0..<50 {
                #expect(try await browser.get("/auth/login?return_to=/tab/\(tab)", pageHeaders).status == 303)
            }
            // As the browser does when the cookie's seconds are over.
            browser["cloakroom_logins"] = nil
            #expect(try await browser.get("/auth/login", pageHeaders).status == 303)
            for cookie in ["x", "1.2.3.4.5", String(repeating: "9", count: 4000), "....", "-1.-1.-1.-1.-1.-1"] {
                browser["cloakroom_logins"] = cookie
                #expect(try await browser.get("/auth/login", pageHeaders).status == 303, "\(cookie.prefix(20))")
            }
        }
    }
}

private func + (left: HTTPHeaders, right: HTTPHeaders) -> HTTPHeaders {
    var all = left
    all.add(contentsOf: right)
    return all
}
