import AsyncHTTPClient
import Cloakroom
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import TestSupport
import Testing

@testable import CloakroomGateway

@Suite struct LiveTests {
    /// An open `/auth/events`, read by one task at a time.
    private final class Stream: @unchecked Sendable {
        let response: HTTPClientResponse
        private var body: HTTPClientResponse.Body.AsyncIterator
        private var text = ""

        init(_ bench: Bench, _ browser: Browser) async throws {
            var request = HTTPClientRequest(url: "http://127.0.0.1:\(bench.gatewayPort)/auth/events")
            request.headers = ["host": "localhost:8020", "sec-fetch-site": "same-origin"]
            let session = try #require(browser["cloakroom_session"])
            request.headers.add(name: "cookie", value: "cloakroom_session=\(session)")
            response = try await testClient.execute(request, timeout: .seconds(60))
            body = response.body.makeAsyncIterator()
        }

        /// The next event, without comments; `nil` at the end.
        func next() async throws -> (name: String, data: JSONObject)? {
            while true {
                if let end = text.range(of: "\n\n") {
                    let lines = text[..<end.lowerBound].split(separator: "\n")
                    text = String(text[end.upperBound...])
                    guard let name = lines.first(where: { $0.hasPrefix("event: ") }) else { continue }
                    let data = try #require(lines.first { $0.hasPrefix("data: ") }?.dropFirst(6))
                    return (String(name.dropFirst(7)), try JSONValue(parsing: Array(data.utf8)).object ?? [:])
                }
                guard let part = try await body.next() else { return nil }
                text += String(buffer: part)
            }
        }
    }

    @Test("A page is greeted with the time left, told of its logout and why, and then the stream ends")
    func logout() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let (one, two) = (try await Stream(bench, browser), try await Stream(bench, browser))
            #expect(one.response.status == .ok)
            #expect(one.response.headers["content-type"] == ["text/event-stream; charset=utf-8"])
            #expect(one.response.headers["cache-control"] == ["no-store"], "R43")
            #expect(one.response.headers["x-content-type-options"] == ["nosniff"], "R43")
            for hello in [try await one.next(), try await two.next()] {
                #expect(hello?.name == "hello" && hello?.data["limit"]?.string == "absolute")
                #expect((28_790...28_800).contains(hello?.data["expires_in"]?.integer ?? 0))
            }
            _ = try await browser.get("/auth/logout", pageHeaders)
            for end in [try await one.next(), try await two.next()] {
                #expect(end?.name == "logout" && end?.data["reason"]?.string == "logout")
            }
            #expect(try await one.next() == nil)
            #expect(try await two.next() == nil)
            let log = bench.log.text
            #expect(log.contains("route=/auth/events session="))
        }
    }

    @Test("R18: a stream is no use of its session: pages are warned half-way, and told when it ends by being idle")
    func idle() async throws {
        try await Bench.with(.init(change: { $0.sessionIdleTimeout = .seconds(3) })) { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let stream = try await Stream(bench, browser)
            let hello = try #require(try await stream.next())
            #expect(hello.name == "hello" && hello.data["limit"]?.string == "idle")
            let warning = try #require(try await stream.next())
            #expect(warning.name == "expiring" && (1...2).contains(warning.data["expires_in"]?.integer ?? 0))
            // A use: the warning was in vain, and comes anew.
            #expect(try await browser.get("/auth/me").status == 200)
            #expect(try await stream.next()?.name == "expiring")
            for _ in 0..<3 { #expect(try await browser.get("/auth/me?peek=1").status == 200) }
            let end = try #require(try await stream.next())
            #expect(end.name == "logout" && end.data["reason"]?.string == "idle")
            #expect(try await stream.next() == nil)
            #expect(try await browser.get("/auth/me?peek=1").status == 401)
        }
    }

    @Test("Pages are told of new tokens")
    func refreshed() async throws {
        // Due for a refresh at once.
        try await Bench.with(.init(accessTokenLifetime: .seconds(5))) { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let stream = try await Stream(bench, browser)
            #expect(try await stream.next()?.name == "hello")
            // Times of refreshes are kept in whole seconds.
            try await eventually("a request was forwarded with new tokens") {
                guard try await browser.get("/api/echo", apiHeaders).status == 200 else { return false }
                return bench.log.text.contains("event=refreshed")
            }
            #expect(try await stream.next()?.name == "refreshed")
        }
    }

    @Test("R33, R44: no stream without a session, for another site, by another method, or beyond the limit")
    func refusals() async throws {
        try await Bench.with(.init(change: { $0.limits.eventStreamsPerSession = 2 })) { bench in
            let browser = bench.browser()
            let anonymous = try await browser.get("/auth/events")
            #expect(anonymous.status == 401 && anonymous.body.contains("unauthenticated"))
            browser["cloakroom_session"] = SessionID().secret
            #expect(try await browser.get("/auth/events").status == 401)
            try await browser.logIn()
            for headers: HTTPHeaders in [
                ["Sec-Fetch-Site": "cross-site"], ["Sec-Fetch-Site": "same-site"], ["Origin": "https://evil.example"],
                ["Origin": "null"],
            ] {
                let refused = try await browser.get("/auth/events", headers)
                #expect(refused.status == 403 && refused.body.contains("cross_site_request"))
            }
            for method: HTTPMethod in [.HEAD, .POST, .PUT, .DELETE, .OPTIONS] {
                let refused = try await browser.send(method, "/auth/events")
                #expect(refused.status == 405 && refused.headers["allow"] == ["GET"])
            }
            var streams = [try await Stream(bench, browser), try await Stream(bench, browser)]
            for index in streams.indices { #expect(try await streams[index].next()?.name == "hello") }
            let tooMany = try await Stream(bench, browser)
            #expect(tooMany.response.status == .tooManyRequests)
            #expect(tooMany.response.headers.contains(name: "retry-after"))
            let other = bench.browser()
            try await other.logIn()
            let others = try await Stream(bench, other)
            #expect(try await others.next()?.name == "hello", "R50: another user is served")
            // A place that was given up is there for the next.
            streams = []
            try await eventually("a place is free") { try await Stream(bench, browser).response.status == .ok }
        }
    }

    @Test(
        "/auth/me says how much is left of the session; a store that can't be looked at has neither looks nor streams")
    func me() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let me = try await browser.get("/auth/me")
            #expect((28_000...28_800).contains(Int(me.headers.first(name: "cloakroom-session-expires-in") ?? "") ?? 0))
            #expect(try await !browser.get("/auth/me").body.contains("expires_in"))
            let details = try await browser.get("/auth/me?details=1&peek=1")
            let session = try JSONValue(parsing: Array(details.body.utf8)).object?["session"]?.object
            #expect(session?["limit"]?.string == "absolute" && session?["expires_in"]?.integer ?? 0 > 28_000)
        }
        // A store that can't show sessions without using them says so.
        let memory = InMemorySessionStore(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await Bench.with(.init(store: SharedStore(memory))) { bench in
            let browser = bench.browser()
            try await browser.logIn()
            #expect(try await browser.get("/auth/me").status == 200)
            #expect(try await browser.get("/auth/me?peek=1").status == 501)
            #expect(try await browser.get("/auth/events").status == 501)
        }
    }

    @Test("When the gateway stops, streams end and hold nothing up")
    func drain() async throws {
        let start = ContinuousClock.now
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let stream = try await Stream(bench, browser)
            #expect(try await stream.next()?.name == "hello")
        }
        #expect(ContinuousClock.now - start < .seconds(15))
    }

    @Test("Events are written as browsers read them; a comment stands alone")
    func text() {
        let session = Session(
            tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"), createdAt: .now,
            expiresAt: .now + 3600)
        let policy = SessionPolicy(idleTimeout: .seconds(600))
        let idle = StreamedSession.Facts(PeekedSession(session: session, endsAt: .now + 90), policy)
        func written(_ kinds: LiveEvent.Kinds) -> String {
            var out = ByteBuffer()
            LiveEvent.write(kinds, idle, into: &out)
            return String(buffer: out)
        }
        #expect(written(.keepAlive) == ":\n\n")
        #expect(
            written([.keepAlive, .expiring]) == "event: expiring\ndata: {\"expires_in\":90,\"limit\":\"idle\"}\n\n")
        #expect(written(.hello).hasPrefix("retry: ") && written(.hello).hasSuffix("\"limit\":\"idle\"}\n\n"))
        #expect(idle.isEndNear() && idle.warning == 120 && idle.endReason() == .elsewhere)
        #expect(idle.endReason(.now + 90) == .idle && idle.endReason(.now + 3600) == .absolute)
    }
}
