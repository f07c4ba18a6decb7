import AsyncHTTPClient
import Cloakroom
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Testing

@testable import CloakroomGateway

@Suite struct LoginTests {
    @Test("R13, R15, R46: a person logs in and is known: landing page, provider, user page, claims without a token")
    func wholeFlow() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            let landing = try await browser.get("/", pageHeaders)
            #expect(landing.status == 200 && landing.body.contains("Login with Keycloak"))
            #expect(landing.headers["x-cloakroom-replica"] == ["r1"] && landing.body.contains("r1"))
            #expect(try await browser.get("/auth/me").status == 401)

            let done = try await browser.logIn(returnTo: "/welcome?a=b&c=%2F")
            #expect(done.location == "/welcome?a=b&c=%2F")
            #expect(done.headers["cache-control"] == ["no-store"])
            let cookie = try #require(done.setCookies.first { $0.hasPrefix("cloakroom_session=") })
            #expect(cookie.hasSuffix("; Path=/; HttpOnly; SameSite=Lax") && cookie.utf8.count < 431)

            let user = try await browser.get("/", pageHeaders)
            #expect(user.status == 200 && user.body.contains("Ada Admin") && user.body.contains("admin@example.com"))
            #expect(user.body.contains("Logout") && user.body.contains("Call the sample API"))
            #expect(user.headers["cache-control"] == ["no-store"])
            let me = try await browser.get("/auth/me")
            let claims = try JSONValue(parsing: Array(me.body.utf8)).object ?? [:]
            #expect(me.status == 200 && claims["preferred_username"]?.string == "admin")
            #expect(claims["email"]?.string == "admin@example.com")
            let ticket = try #require(browser["cloakroom_session"])
            #expect(!me.body.contains("token") && !me.body.contains(ticket) && !user.body.contains(ticket))
            // Nothing of all that is in the log.
            let log = bench.log.text
            #expect(log.contains("route=/auth/callback") && log.contains("Using InMemorySessionStore") == true)
            #expect(log.contains("session="))
            let binding = try #require(browser["cloakroom_login"])
            for word in [
                ticket, binding, "code=", "state=", "Bearer", "eyJ", "s3cret", "admin@example.com", "return_to",
            ] {
                #expect(!log.contains(word), "\(word)")
            }
        }
    }

    @Test("R3: the same callback twice, or from another cookie jar, makes no session")
    func callbackOnce() async throws {
        try await Bench.with { bench in
            let victim = bench.browser()
            let callback = try await victim.callbackAddress()
            let stranger = bench.browser()
            for prepare in [
                {}, { stranger["cloakroom_login"] = SessionID().secret }, { stranger["cloakroom_login"] = "x" },
            ] {
                prepare()
                let refused = try await stranger.get(callback, pageHeaders)
                #expect(refused.status == 400 && refused.setCookies.isEmpty)
                #expect(refused.body.contains("Request ID") && refused.body.contains("/auth/login"))
            }
            // The stranger's attempts did not use it up.
            #expect(try await victim.get(callback).status == 303)
            let session = victim["cloakroom_session"]
            // The browser is logged in by then, so it gets to where it wanted, and nothing else happens.
            let again = try await victim.get(callback, pageHeaders)
            #expect(again.status == 303 && again.setCookies.isEmpty && again.location == "/")
            #expect(victim["cloakroom_session"] == session)
            #expect(try await victim.get("/auth/me").status == 200)
        }
    }

    @Test("R4: two tabs that log in at the same time both complete")
    func parallelTabs() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            let first = try await browser.callbackAddress(returnTo: "/first")
            let binding = browser["cloakroom_login"]
            let second = try await browser.callbackAddress(returnTo: "/second")
            #expect(browser["cloakroom_login"] == binding)
            #expect(try await browser.get(first).location == "/first")
            #expect(try await browser.get(second).location == "/second")
            #expect(try await browser.get("/auth/me").status == 200)
        }
    }

    @Test("R12: a login gets a new ID, never one that the browser brought, and the old session dies")
    func newID() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            let planted = SessionID().secret
            browser["cloakroom_session"] = planted
            try await browser.logIn()
            let first = try #require(browser["cloakroom_session"])
            #expect(first != planted)
            try await browser.logIn()
            #expect(browser["cloakroom_session"] != first)
            browser["cloakroom_session"] = first
            #expect(try await browser.get("/auth/me").status == 401)
            browser["cloakroom_session"] = planted
            #expect(try await browser.get("/auth/me").status == 401)
        }
    }

    @Test("R14, R45: whatever is wrong with a callback, it ends in a page with a way on, never in a redirect")
    func badCallbacks() async throws {
        try await Bench.with { bench in
            let queries = [
                "", "?", "?code=x", "?state=x", "?code=x&state=", "?code=x&state=y", "?error=access_denied&state=z",
                "?error=<script>alert(1)</script>&error_description=<script>alert(1)</script>&state=a",
                "?code=%zz&state=y",
                "?code=x&state=" + String(repeating: "a", count: 5000), "?" + String(repeating: "a", count: 9000),
            ]
            for query in queries {
                let browser = bench.browser()
                browser["cloakroom_login"] = SessionID().secret
                let answer = try await browser.get("/auth/callback" + query, pageHeaders)
                #expect(
                    answer.status == 400 && answer.location == nil && answer.setCookies.isEmpty, "\(query.prefix(40))")
                #expect(answer.headers["cache-control"] == ["no-store"])
                #expect(!answer.body.contains("<script>") && !answer.body.contains("alert(1)"))
                #expect(answer.body.contains("href=\"/auth/login\""))
            }
            // A repeated parameter spoils even a callback that is good otherwise, and does not use it up.
            let browser = bench.browser()
            let callback = try await browser.callbackAddress()
            #expect(try await browser.get(callback + "&state=again", pageHeaders).status == 400)
            #expect(try await browser.get(callback + "&extra=1", pageHeaders).status == 303)
        }
    }

    @Test("R45: a login that the provider refuses is told without the provider's words")
    func refused() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            let begun = try await browser.get("/auth/login")
            let items = URLComponents(string: begun.location ?? "")?.queryItems ?? []
            let state = try #require(items.first { $0.name == "state" }?.value)
            let answer = try await browser.get(
                "/auth/callback?error=access_denied&error_description=SaySomething&state=\(state)&iss="
                    + "http%3A%2F%2Flocalhost%3A\(bench.providerPort)", pageHeaders)
            #expect(answer.status == 403 && !answer.body.contains("SaySomething") && answer.setCookies.isEmpty)
        }
    }

    @Test(
        "R11: nobody is sent to another site after the login",
        arguments: [
            "//evil.example", "https://evil.example", "/\\evil.example",
            "/%09/evil.example".removingPercentEncoding ?? "",
            "\r\nLocation: https://evil.example", "javascript:alert(1)", "evil",
        ])
    func openRedirects(returnTo: String) async throws {
        try await Bench.with { bench in
            let done = try await bench.browser().logIn(returnTo: returnTo)
            #expect(done.location == "/")
        }
    }

    @Test("A login that begins at another name of this machine moves to the public one, without a loop")
    func otherName() async throws {
        try await Bench.with { bench in
            let moved = try await testClient.execute(
                .init(url: "http://127.0.0.1:\(bench.gatewayPort)/auth/login"), timeout: .seconds(10))
            // The port differs from the public one here, as it does behind a proxy: no redirect to ourselves.
            #expect(moved.headers.first(name: "location")?.contains("/authorize?") == true)
        }
    }

    @Test("R52: when the provider is away, login is 503 and everything else works")
    func providerAway() async throws {
        try await Bench.with(.init(change: { $0.oidcIssuer = "http://127.0.0.1:9" })) { bench in
            let answer = try await bench.browser().get("/auth/login", pageHeaders)
            #expect(answer.status == 503 && answer.headers["retry-after"] == ["5"] && answer.setCookies.isEmpty)
            #expect(try await bench.browser().get("/readyz").status == 200)
            #expect(try await bench.browser().get("/", pageHeaders).status == 200)
        }
    }

    @Test("Any replica can end the login that another began")
    func twoReplicas() async throws {
        let shared = SharedStore(InMemorySessionStore(logger: Logger(label: "store") { _ in SwiftLogNoOpLogHandler() }))
        try await Bench.with(.init(store: shared)) { first in
            let (ports, continuation) = AsyncStream<Int>.makeStream()
            var settings = GatewaySettings()
            settings.port = 0
            settings.publicURL = Bench.publicOrigin
            settings.oidcIssuer = "http://localhost:\(first.providerPort)"
            settings.oidcClientID = "app"
            settings.oidcClientSecret = "s3cret"
            let second = try Gateway(
                settings: settings, logger: Logger(label: "second") { _ in SwiftLogNoOpLogHandler() }, store: shared,
                onServerRunning: { continuation.yield($0) })
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await second.run() }
                var iterator = ports.makeAsyncIterator()
                let port = try #require(await iterator.next())
                let there = first.browser()
                let callback = try await there.callbackAddress(returnTo: "/x")
                let here = Browser(gatewayPort: port)
                here["cloakroom_login"] = there["cloakroom_login"]
                #expect(try await here.get(callback).location == "/x")
                there["cloakroom_session"] = here["cloakroom_session"]
                #expect(try await there.get("/auth/me").status == 200)
                group.cancelAll()
                try? await group.waitForAll()
            }
        }
    }
}
