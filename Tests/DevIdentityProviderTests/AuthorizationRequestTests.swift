import NIOHTTP1
import Testing

@Suite("Development identity provider: bad authorization requests")
struct AuthorizationRequestTests {
    @Test("An unknown client or address gets a page and never a redirect")
    func noRedirect() async throws {
        try await RunningProvider.with { provider in
            let base = Flow(provider: provider, browser: Browser())
            var unknown = base
            unknown.clientID = "nobody"
            #expect(try await unknown.authorize().status == 400)
            for address in [
                "http://localhost:9999/auth/callback/", "http://localhost:9999/auth/Callback",
                "http://localhost:9999/auth/callback?x=1", "http://evil.example/", "javascript:alert(1)",
            ] {
                var wrong = base
                wrong.redirectURI = address
                let answer = try await wrong.authorize()
                #expect(answer.status == 400 && answer.redirect == nil)
            }
            for missing in ["client_id", "redirect_uri"] {
                let answer = try await base.authorize(without: [missing])
                #expect(answer.status == 400 && answer.redirect == nil)
            }
            let twice = try await base.authorize(adding: [("redirect_uri", "http://evil.example/")])
            #expect(twice.status == 400 && twice.redirect == nil)
            let broken = try await base.browser.get("\(provider.base)/authorize?client_id=%zz")
            #expect(broken.status == 400)
        }
    }

    @Test("Other faults go back to the application with error, state and iss")
    func errorRedirects() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let faults: [(without: Set<String>, adding: [(String, String)], error: String)] = [
                (["response_type"], [("response_type", "token")], "unsupported_response_type"),
                (["code_challenge"], [], "invalid_request"),
                (["code_challenge_method"], [], "invalid_request"),
                (["code_challenge_method"], [("code_challenge_method", "plain")], "invalid_request"),
                (["code_challenge"], [("code_challenge", "short")], "invalid_request"),
                (["scope"], [("scope", "profile")], "invalid_scope"),
                ([], [("prompt", "none login")], "invalid_request"),
                ([], [("max_age", "-1")], "invalid_request"),
                ([], [("nonce", "another")], "invalid_request"),
                ([], [("request", "e30.e30.")], "request_not_supported"),
                ([], [("request_uri", "https://x/")], "request_uri_not_supported"),
                ([], [("response_mode", "fragment")], "invalid_request"),
            ]
            for fault in faults {
                let answer = try await flow.authorize(adding: fault.adding, without: fault.without)
                let redirect = try #require(answer.redirect, "\(fault)")
                #expect(redirect.address == RunningProvider.redirectURI)
                #expect(redirect.parameters["error"] == fault.error, "\(fault)")
                #expect(redirect.parameters["state"] == flow.state)
                #expect(redirect.parameters["iss"] == provider.base)
                #expect(redirect.parameters["code"] == nil)
            }
        }
    }

    @Test("An address with a query keeps it")
    func addressWithQuery() async throws {
        try await RunningProvider.with { provider in
            var flow = Flow(provider: provider, browser: Browser())
            flow.clientID = "public"
            flow.redirectURI = "http://localhost:9998/cb?keep=1"
            let redirect = try #require(try await flow.signIn(on: try await flow.authorize()).redirect)
            #expect(redirect.parameters["keep"] == "1")
            let code = try #require(redirect.parameters["code"])
            _ = try Flow.tokens(try await flow.redeem(code, headers: [:], adding: [("client_id", "public")]))
        }
    }
}
