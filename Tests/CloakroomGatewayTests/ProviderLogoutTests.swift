import Cloakroom
import CloakroomHTTP
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import CloakroomGateway

/// Logouts that lead to the provider and come from there, over HTTP. What makes a logout token right or wrong is tested with
/// the relying party.
@Suite struct ProviderLogoutTests {
    @Test("R25 oidcc-client-test-rp-init-logout: the return with our state says that the user is logged out, once")
    func returnWithState() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let provider = try #require(try await browser.post("/auth/logout").location)
            let back = try #require(try await browser.get(provider).location)
            let page = try await browser.get(back, pageHeaders)
            #expect(page.status == 200 && page.body.contains("You are logged out."))
            #expect(page.body.contains("Login with") && page.headers["cache-control"] == ["no-store"])
            #expect(page.setCookies == ["cloakroom_logout=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"])
            #expect(try await browser.get(back).location == "/")
            #expect(try await !browser.get("/").body.contains("You are logged out."))
        }
    }

    @Test("R25: who has logged in again before the return sees the session")
    func returnWithSession() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let provider = try #require(try await browser.post("/auth/logout").location)
            let back = try #require(try await browser.get(provider).location)
            try await browser.logIn()
            let answer = try await browser.get(back)
            #expect(answer.location == "/" && browser["cloakroom_logout"] == nil)
            #expect(try await browser.get("/").body.contains("You are logged in."))
        }
    }

    @Test("R25 oidcc-client-test-rp-init-logout-other-state: a return with another state is ignored")
    func returnWithOtherState() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            let provider = try #require(try await browser.post("/auth/logout").location)
            let back = try #require(try await browser.get(provider).location)
            for other in [Bench.publicOrigin + "/?state=other", back + "x", back + "&state=x"] {
                let answer = try await browser.get(other)
                #expect(answer.status == 303 && answer.location == "/")
                #expect(answer.setCookies.isEmpty && !answer.body.contains("logged out"))
            }
            let stranger = try await bench.browser().get(back)
            #expect(stranger.location == "/" && !stranger.body.contains("logged out"))
            #expect(try await browser.get(back).body.contains("You are logged out."))
        }
    }

    @Test("R25 oidcc-client-test-rp-init-logout-no-state: a return without state is the start page and claims nothing")
    func returnWithoutState() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            _ = try await browser.post("/auth/logout")
            for address in ["/", "/?", "/?x=1"] {
                let page = try await browser.get(address, pageHeaders)
                #expect(page.status == 200 && !page.body.contains("You are logged out."))
            }
        }
    }

    @Test("R26: bodies are read up to 64 KiB, whole or in parts, and no further")
    func bodies() async throws {
        try await Bench.with { bench in
            let form = "Content-Type: application/x-www-form-urlencoded\r\n"
            func post(_ fields: String, _ body: String) async throws -> String {
                try await Self.exchange(
                    "POST /auth/backchannel-logout HTTP/1.1\r\nHost: gateway.internal:8020\r\n"
                        + "Connection: close\r\n\(fields)\r\n\(body)", port: bench.gatewayPort)
            }
            let refused = try await post(form + "Content-Length: 16\r\n", "logout_token=a.b")
            #expect(refused.hasPrefix("HTTP/1.1 400") && refused.contains("it is not a signed JWT"), "\(refused)")
            #expect(refused.contains("Cache-Control: no-store"))
            let chunked = try await post(
                form + "Transfer-Encoding: chunked\r\n", "7\r\nlogout_\r\n9\r\ntoken=a.b\r\n0\r\n\r\n")
            #expect(chunked.hasPrefix("HTTP/1.1 400") && chunked.contains("it is not a signed JWT"), "\(chunked)")
            let asked = try await post(form + "Content-Length: 16\r\nExpect: 100-continue\r\n", "logout_token=a.b")
            #expect(asked.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400"), "\(asked)")
            let empty = try await post(form + "Content-Length: 0\r\n", "")
            #expect(empty.hasPrefix("HTTP/1.1 400") && empty.contains("not a form with one logout_token"), "\(empty)")
            let large = String(repeating: "a", count: 65_536)
            let tooLarge = try await post(form + "Content-Length: 65537\r\n", large + "a")
            #expect(tooLarge.hasPrefix("HTTP/1.1 413"), "\(tooLarge)")
            // Elsewhere nothing has changed: who waits to be asked for a body that nobody wants is answered without it.
            let other = try await Self.exchange(
                "POST /auth/logout HTTP/1.1\r\nHost: localhost:8020\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"
                    + "Connection: close\r\n\r\n", port: bench.gatewayPort)
            #expect(other.hasPrefix("HTTP/1.1 303"), "\(other)")
        }
    }

    @Test(
        "R26: 405 for other methods; cookies, foreign origins and other names of the host do not matter, as the token decides"
    )
    func requests() async throws {
        try await Bench.with { bench in
            let browser = bench.browser()
            try await browser.logIn()
            #expect(try await browser.get("/auth/backchannel-logout").status == 405)
            #expect(try await browser.send(.HEAD, "/auth/frontchannel-logout").status == 405)
            let answer = try await browser.post(
                "/auth/backchannel-logout", form: [("logout_token", "x")],
                ["Origin": "https://id.example.com", "Sec-Fetch-Site": "cross-site"])
            #expect(answer.status == 400 && answer.setCookies.isEmpty)
            #expect(try await browser.get("/auth/me").status == 200)
            #expect(bench.log.text.contains("reason=invalid_logout_token"))
        }
    }

    @Test("R29: the page of the front-channel logout may be framed by the provider alone")
    func framing() async throws {
        try await Bench.with { bench in
            let issuer = "http://localhost:\(bench.providerPort)"
            let answer = try await bench.browser().get("/auth/frontchannel-logout?iss=\(issuer)&sid=unknown")
            #expect(answer.status == 200)
            #expect(
                answer.headers["content-security-policy"] == [
                    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors \(issuer)"
                ])
        }
    }

    /// Sends this and gives all that comes back, to the end of the connection.
    private static func exchange(_ text: String, port: Int) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: text))
            var all = ""
            for try await part in inbound { all += String(buffer: part) }
            return all
        }
    }
}
