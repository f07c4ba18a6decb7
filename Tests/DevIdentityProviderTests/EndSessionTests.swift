import NIOHTTP1
import Testing

@Suite("Development identity provider: logout")
struct EndSessionTests {
    private func endSession(_ flow: Flow, _ parameters: [(String, String)]) async throws -> Browser.Answer {
        try await flow.browser.get("\(flow.provider.base)/end_session?\(encode(parameters))")
    }

    @Test("With a hint it ends the session and its tokens, and goes back with the state")
    func withHint() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let tokens = try await flow.logIn()
            // Also an expired ID token is a good hint.
            provider.clock.advance(by: 600)
            let answer = try await endSession(
                flow,
                [
                    ("id_token_hint", tokens.id), ("client_id", "app"), ("state", "s <1>"),
                    ("post_logout_redirect_uri", RunningProvider.afterLogout),
                ])
            let redirect = try #require(answer.redirect)
            #expect(redirect.address == RunningProvider.afterLogout)
            #expect(redirect.parameters == ["state": "s <1>"])
            #expect(flow.browser.cookie("dev_idp_session") == nil)
            try expectError(try await flow.refresh(tokens.refresh), "invalid_grant")
            #expect(try await flow.userInfo(tokens.access).status == 401)
            #expect(try await flow.authorize().status == 200)
        }
    }

    @Test("The session is over on the server too, not only in the cookie")
    func cookieKept() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let tokens = try await flow.logIn()
            let cookie = flow.browser.cookie("dev_idp_session")
            let answer = try await endSession(flow, [("id_token_hint", tokens.id)])
            #expect(answer.status == 200 && answer.body.contains("Signed out"))
            flow.browser.setCookie("dev_idp_session", cookie)
            #expect(try await flow.authorize().status == 200)
        }
    }

    @Test("Without a valid hint the user is asked; the form is bound to the browser")
    func withoutHint() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let tokens = try await flow.logIn()
            let forged = String(tokens.id.dropLast(8)) + "AAAAAAAA"
            for hint in [[], [("id_token_hint", "x")], [("id_token_hint", forged)], [("id_token_hint", tokens.access)]]
            {
                let page = try await endSession(flow, hint)
                #expect(page.status == 200 && page.body.contains(">Sign out</button>"))
            }
            #expect(try await flow.authorize().redirect != nil)

            let page = try await endSession(
                flow,
                [("client_id", "app"), ("post_logout_redirect_uri", RunningProvider.afterLogout), ("state", "\"<x>")])
            #expect(!page.body.contains("<x>"))
            let form = [
                ("request", try #require(page.hidden("request"))), ("csrf", try #require(page.hidden("csrf"))),
            ]
            let foreign = try await Browser().post("\(provider.base)/end_session/confirm", form: form)
            #expect(foreign.status == 403)
            #expect(try await flow.authorize().redirect != nil)

            let done = try await flow.browser.post("\(provider.base)/end_session/confirm", form: form)
            #expect(done.redirect?.address == RunningProvider.afterLogout)
            #expect(done.redirect?.parameters == ["state": "\"<x>"])
            try expectError(try await flow.refresh(tokens.refresh), "invalid_grant")
            #expect(try await flow.authorize().status == 200)
        }
    }

    @Test("An address that isn't registered, or a hint of another client, is an error page and no logout")
    func badRequests() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let tokens = try await flow.logIn()
            let bad: [[(String, String)]] = [
                [("id_token_hint", tokens.id), ("post_logout_redirect_uri", "http://evil.example/")],
                [("id_token_hint", tokens.id), ("client_id", "public")],
                [("post_logout_redirect_uri", RunningProvider.afterLogout)],
                [("id_token_hint", tokens.id), ("id_token_hint", tokens.id)],
            ]
            for parameters in bad {
                let answer = try await endSession(flow, parameters)
                #expect(answer.status == 400 && answer.redirect == nil)
            }
            _ = try Flow.tokens(try await flow.refresh(tokens.refresh))
        }
    }

    @Test("Another user's hint leaves this browser's session alone")
    func otherUsersHint() async throws {
        try await RunningProvider.with { provider in
            let other = try await Flow(provider: provider, browser: Browser()).logIn(username: "user")
            let flow = Flow(provider: provider, browser: Browser())
            _ = try await flow.logIn()
            _ = try await endSession(flow, [("id_token_hint", other.id)])
            #expect(try await flow.authorize().redirect != nil)
            try expectError(try await flow.refresh(other.refresh), "invalid_grant")
        }
    }

    @Test("POST works as GET does")
    func post() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let tokens = try await flow.logIn()
            let answer = try await flow.browser.post(
                "\(provider.base)/end_session", form: [("id_token_hint", tokens.id)])
            #expect(answer.status == 200 && answer.body.contains("Signed out"))
            try expectError(try await flow.refresh(tokens.refresh), "invalid_grant")
        }
    }
}
