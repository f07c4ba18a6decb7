import DevIdentityProvider
import Foundation
import NIOHTTP1
import Testing

@Suite("Development identity provider: tokens")
struct TokenTests {
    @Test("A wrong verifier or address is refused, and the code is worth nothing after it")
    func boundCode() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let wrongVerifier = try await flow.code()
            try expectError(
                try await flow.redeem(wrongVerifier, verifier: String(repeating: "a", count: 43)), "invalid_grant")
            try expectError(try await flow.redeem(wrongVerifier), "invalid_grant")

            let next = Flow(provider: provider, browser: Browser())
            let wrongAddress = try await next.code()
            try expectError(
                try await next.redeem(wrongAddress, redirectURI: RunningProvider.afterLogout), "invalid_grant")
            try expectError(try await next.redeem(wrongAddress), "invalid_grant")
            try expectError(try await next.redeem("made-up"), "invalid_grant")
            try expectError(try await next.redeem("x", verifier: "short"), "invalid_request")
        }
    }

    @Test("A code is for the client that asked for it")
    func codeOfAnotherClient() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let code = try await flow.code()
            try expectError(
                try await flow.redeem(code, headers: [:], adding: [("client_id", "public")]), "invalid_grant")
            _ = try Flow.tokens(try await flow.redeem(code))
        }
    }

    @Test("A code lives 60 seconds")
    func codeExpires() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let code = try await flow.code()
            provider.clock.advance(by: 61)
            try expectError(try await flow.redeem(code), "invalid_grant")
        }
    }

    @Test("A code's second use revokes the tokens of the first")
    func codeReuse() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let code = try await flow.code()
            let tokens = try Flow.tokens(try await flow.redeem(code))
            #expect(try await flow.userInfo(tokens.access).status == 200)
            try expectError(try await flow.redeem(code), "invalid_grant")
            #expect(try await flow.userInfo(tokens.access).status == 401)
            try expectError(try await flow.refresh(tokens.refresh), "invalid_grant")
        }
    }

    @Test("Of 20 uses of one code at once, at most one gets tokens")
    func codeRace() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let code = try await flow.code()
            let statuses = try await withThrowingTaskGroup(of: UInt.self) { group in
                for _ in 0..<20 {
                    group.addTask { try await flow.redeem(code).status }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.filter { $0 == 200 }.count == 1)
        }
    }

    @Test("A refresh rotates; the old token's second use revokes the family")
    func refreshRotation() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let first = try await flow.logIn()
            let second = try Flow.tokens(try await flow.refresh(first.refresh))
            #expect(second.refresh != first.refresh && second.access != first.access)
            let (old, new) = (try claims(first.id), try claims(second.id))
            for name in ["iss", "sub", "aud", "sid"] {
                #expect(old[name] as? String == new[name] as? String, "\(name)")
            }
            #expect(old["auth_time"] as? Int == new["auth_time"] as? Int)
            let third = try Flow.tokens(try await flow.refresh(second.refresh))
            try expectError(try await flow.refresh(first.refresh), "invalid_grant")
            try expectError(try await flow.refresh(third.refresh), "invalid_grant")
            #expect(try await flow.userInfo(third.access).status == 401)
        }
    }

    @Test("A refresh token that was altered, made up or another client's revokes nothing")
    func foreignRefreshToken() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let tokens = try await flow.logIn()
            let parts = tokens.refresh.split(separator: ".")
            for forged in ["x", "", "\(parts[0]).0.\(parts[2])", "\(parts[0]).1", "\(tokens.refresh)x", "..."] {
                let answer = try await flow.refresh(forged)
                #expect(answer.status == 400, "\(forged)")
            }
            try expectError(
                try await flow.token(
                    [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh), ("client_id", "public")],
                    headers: [:]), "invalid_grant")
            _ = try Flow.tokens(try await flow.refresh(tokens.refresh))
        }
    }

    @Test("A refresh may narrow the scope and not widen it")
    func refreshScope() async throws {
        try await RunningProvider.with { provider in
            var flow = Flow(provider: provider, browser: Browser())
            flow.scope = "openid profile"
            let tokens = try await flow.logIn()
            try expectError(
                try await flow.refresh(tokens.refresh, adding: [("scope", "openid email")]), "invalid_scope")
            let narrow = try await flow.refresh(tokens.refresh, adding: [("scope", "openid")])
            #expect(try narrow.json()["scope"] as? String == "openid")
        }
    }

    @Test("Lifetimes: access token, refresh token")
    func lifetimes() async throws {
        try await RunningProvider.with {
            $0.accessTokenLifetime = .seconds(5)
            $0.refreshTokenLifetime = .seconds(20)
        } test: { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let tokens = try await flow.logIn()
            provider.clock.advance(by: 6)
            #expect(try await flow.userInfo(tokens.access).status == 401)
            let answer = try await flow.refresh(tokens.refresh)
            #expect(try answer.json()["expires_in"] as? Int == 5)
            let next = try Flow.tokens(answer)
            #expect(try await flow.userInfo(next.access).status == 200)
            provider.clock.advance(by: 21)
            try expectError(try await flow.refresh(next.refresh), "invalid_grant")
        }
    }

    @Test("client_secret_basic, client_secret_post and none; anything else is invalid_client")
    func clientAuthentication() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let secret = RunningProvider.secret
            func attempt(_ headers: [(String, String)], _ extra: [(String, String)]) async throws -> Browser.Answer {
                try await flow.redeem("none", headers: .init(headers), adding: extra)
            }
            // Authenticated, so it gets as far as the code.
            try expectError(try await attempt([], [("client_id", "app"), ("client_secret", secret)]), "invalid_grant")
            try expectError(try await attempt([], [("client_id", "public")]), "invalid_grant")
            try expectError(try await flow.redeem("none"), "invalid_grant")

            try expectError(
                try await attempt([], [("client_id", "app"), ("client_secret", "wrong")]), "invalid_client", status: 401
            )
            try expectError(try await attempt([], [("client_id", "app")]), "invalid_client", status: 401)
            try expectError(try await attempt([], [("client_id", "nobody")]), "invalid_client", status: 401)
            try expectError(try await attempt([], []), "invalid_client", status: 401)
            try expectError(
                try await attempt([], [("client_id", "public"), ("client_secret", "x")]), "invalid_client", status: 401)
            let basic = try await flow.redeem("none", headers: Flow.basic("app", "wrong"))
            try expectError(basic, "invalid_client", status: 401)
            #expect(basic.headers.first(name: "www-authenticate")?.hasPrefix("Basic ") == true)
            for header in ["Basic", "Basic !!!", "Bearer x", "Basic \(Data("app".utf8).base64EncodedString())"] {
                try expectError(try await attempt([("authorization", header)], []), "invalid_client", status: 401)
            }
            try expectError(
                try await flow.redeem("none", adding: [("client_secret", secret)]), "invalid_request")
        }
    }

    @Test("Malformed token requests get RFC 6749's errors")
    func malformed() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            try expectError(try await flow.token([("grant_type", "password")], headers: nil), "unsupported_grant_type")
            try expectError(try await flow.token([], headers: nil), "invalid_request")
            try expectError(
                try await flow.token([("grant_type", "refresh_token"), ("grant_type", "x")], headers: nil),
                "invalid_request")
            try expectError(try await flow.token([("grant_type", "refresh_token")], headers: nil), "invalid_request")
            let json = try await Browser().post(
                "\(provider.base)/token", form: [],
                headers: ["content-type": "application/json"])
            #expect(json.status == 400)
            let long = try await flow.token([("grant_type", String(repeating: "x", count: 100_000))], headers: nil)
            #expect((400..<500).contains(long.status))
        }
    }

    @Test("UserInfo: GET and POST with a bearer token; else 401 with a challenge")
    func userInfo() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let tokens = try await flow.logIn()
            let url = "\(provider.base)/userinfo"
            let posted = try await Browser().post(url, form: [], headers: ["authorization": "Bearer \(tokens.access)"])
            #expect(try posted.json()["preferred_username"] as? String == "admin")
            #expect(try await Browser().post(url, form: [("access_token", tokens.access)]).status == 200)

            let bare = try await Browser().get(url)
            #expect(bare.status == 401)
            #expect(bare.headers.first(name: "www-authenticate") == "Bearer realm=\"userinfo\"")
            // An ID token is no access token; neither is one whose signature was changed.
            for wrong in [tokens.id, String(tokens.access.dropLast(8)) + "AAAAAAAA", "x", tokens.refresh] {
                let answer = try await flow.userInfo(wrong)
                #expect(answer.status == 401)
                #expect(answer.headers.first(name: "www-authenticate")?.contains("invalid_token") == true)
            }
        }
    }
}
