import AsyncHTTPClient
import Cloakroom
import Logging
import Synchronization
import TestSupport
import Testing

@testable import CloakroomOIDC

/// A provider, or who poses as one, that sends what it should not.
@Suite("Hostile provider")
struct HostileProviderTests {
    private static let deep = String(repeating: "[", count: 100_000)

    private func failLogin(
        _ endpoint: ScriptedProvider.Endpoint, _ reply: ScriptedProvider.Reply, _ code: OIDCError.Code,
        _ words: String, timeout: Duration = .seconds(10), sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await TestBench.run {
            $0.replies[endpoint] = reply
        } _: { bench in
            await expectFailure(code, words, sourceLocation: sourceLocation) {
                _ = try await bench.logIn(with: bench.relyingParty { $0.requestTimeout = timeout })
            }
        }
    }

    @Test(
        "R50: 10 MB of JSON are not read, whether announced or not",
        arguments: [ScriptedProvider.Endpoint.metadata, .keys, .token, .userInfo], [true, false])
    func flood(endpoint: ScriptedProvider.Endpoint, announced: Bool) async throws {
        let reply = ScriptedProvider.Reply.flood(bytes: 10 << 20, announced: announced)
        try await failLogin(endpoint, reply, .invalidResponse, "larger than")
    }

    @Test("R50: deep nesting is refused", arguments: [ScriptedProvider.Endpoint.metadata, .keys, .token, .userInfo])
    func nesting(endpoint: ScriptedProvider.Endpoint) async throws {
        let text = "{\"issuer\":" + Self.deep
        let reply = ScriptedProvider.Reply.body(status: 200, type: "application/json", text: text)
        try await failLogin(endpoint, reply, .invalidResponse, "not a JSON object")
    }

    @Test("R50: deep nesting in an ID token is refused, and so is an endless one")
    func nestedIDToken() async throws {
        let deep = Base64URL.encode(Array(("{\"alg\":\"RS256\",\"x\":" + Self.deep.prefix(1000)).utf8))
        let tokens = [
            "\(deep).e30.AA", "a.b", "a.b.c.d.e", "..", "", "a.b.c", String(repeating: ".", count: 60_000),
            String(repeating: "a", count: 66_000), "e30.e30.", "W10.e30.AA",
        ]
        for token in tokens {
            try await TestBench.run {
                $0.tokens = { $0["id_token"] = .string(token) }
            } _: { bench in
                do {
                    _ = try await bench.logIn(with: bench.relyingParty())
                    Issue.record("\(token.prefix(20)) was accepted")
                } catch let error as OIDCError {
                    #expect([.invalidIDToken, .invalidResponse].contains(error.code), "\(error)")
                }
            }
        }
    }

    @Test(
        "R50, R52: a provider that hangs, before or in its answer, is unavailable, and holds nobody up",
        arguments: [ScriptedProvider.Endpoint.metadata, .keys, .token, .userInfo])
    func hang(endpoint: ScriptedProvider.Endpoint) async throws {
        for reply in [ScriptedProvider.Reply.hang, .hangInBody] {
            try await TestBench.run {
                $0.replies[endpoint] = reply
            } _: { bench in
                let party = bench.relyingParty { $0.requestTimeout = .milliseconds(200) }
                // Only the login is timed; the default of 10 s would be too long.
                let begun = ContinuousClock.now
                await expectFailure(.providerUnavailable, "too long") { _ = try await bench.logIn(with: party) }
                #expect(ContinuousClock.now - begun < .seconds(5))
            }
        }
    }

    @Test("Redirects are not followed", arguments: [ScriptedProvider.Endpoint.metadata, .keys, .token, .userInfo])
    func redirect(endpoint: ScriptedProvider.Endpoint) async throws {
        try await failLogin(endpoint, .redirect("/elsewhere"), .invalidResponse, "redirect")
    }

    @Test("An answer is refused when the HTTP client followed a redirect to it after all")
    func redirectFollowed() async throws {
        try await TestBench.run { bench in
            bench.provider.change { $0.replies[.userInfo] = .redirect("/jwks") }
            try await TestBench.withClient(HTTPClient.Configuration(), provider: bench.provider) { following in
                await expectFailure(.invalidResponse, "was redirected") {
                    _ = try await following.logIn(with: following.relyingParty())
                }
            }
        }
    }

    @Test("A caller that goes away does not end the fetch that others wait for")
    func cancelledCaller() async throws {
        try await TestBench.run {
            $0.replies[.metadata] = .hang
        } _: { bench in
            let party = bench.relyingParty { $0.requestTimeout = .milliseconds(500) }
            let first = Task { try await party.warmUp() }
            while bench.provider.requests(to: .metadata).isEmpty { await Task.yield() }
            let second = Task { try await party.warmUp() }
            first.cancel()
            await expectFailure(.providerUnavailable, "too long") { try await second.value }
            #expect(bench.provider.requests(to: .metadata).count == 1)
        }
    }

    @Test("A UserInfo answer that is neither an object nor a signed JWT is refused")
    func userInfoForms() async throws {
        let replies: [ScriptedProvider.Reply] = [
            .json(200, ["alice"]), .body(status: 200, type: "text/html", text: "<html>"),
        ]
        for reply in replies { try await failLogin(.userInfo, reply, .invalidResponse, "not a JSON object") }
        for type in ["application/jwt", "Application/JWT; charset=utf-8"] {
            let reply = ScriptedProvider.Reply.body(status: 200, type: type, text: "{\"sub\":\"alice\"}")
            try await failLogin(.userInfo, reply, .invalidResponse, "not a signed JWT")
        }
        try await failLogin(.userInfo, .json(401, [:]), .invalidResponse, "401")
        try await failLogin(.userInfo, .json(503, [:]), .providerUnavailable, "503")
    }

    @Test("R50: more claims than anyone needs are refused")
    func manyClaims() async throws {
        try await TestBench.run {
            $0.userInfo = { claims in
                for index in 0..<513 { claims["c\(index)"] = 1 }
            }
        } _: { bench in
            await expectFailure(.invalidResponse, "512 claims") {
                _ = try await bench.logIn(with: bench.relyingParty())
            }
        }
    }

    @Test("A provider without a UserInfo endpoint is good: the ID token's claims remain")
    func noUserInfoEndpoint() async throws {
        try await TestBench.run {
            $0.metadata["userinfo_endpoint"] = .some(nil)
            $0.idToken = { $0.claims["email"] = "id@example.com" }
        } _: { bench in
            let result = try await bench.logIn(with: bench.relyingParty())
            #expect(result.userInfo.email == "id@example.com")
        }
    }

    @Test("Unfit members of the token endpoint's answer are refused")
    func unfitTokenAnswers() async throws {
        let changes: [(String, JSONValue?)] = [
            ("token_type", nil), ("token_type", "DPoP"), ("token_type", 1), ("access_token", nil), ("access_token", ""),
            ("access_token", 1), ("access_token", "a\r\nX-Evil: 1"), ("id_token", nil), ("id_token", .null),
            ("id_token", 1), ("refresh_token", ["a"]), ("expires_in", "soon"), ("expires_in", -1),
            ("expires_in", true), ("refresh_expires_in", "nan"),
        ]
        for (name, value) in changes {
            try await TestBench.run {
                $0.tokens = { $0[name] = value }
            } _: { bench in
                await expectFailure(.invalidResponse) { _ = try await bench.logIn(with: bench.relyingParty()) }
            }
        }
    }

    @Test("Quirks of real providers are survived")
    func quirks() async throws {
        let cases: [(JSONValue?, Int?)] = [
            (300, 300), ("300", 300), (.number("300.0"), 300), (0, 0), (nil, nil), (.null, nil),
            (.number("1e300"), TokenResponse.longestLife),
        ]
        for (value, seconds) in cases {
            try await TestBench.run {
                $0.tokens = {
                    $0["token_type"] = "bearer"
                    $0["expires_in"] = value
                    $0["scope"] = ["odd"]
                    $0["not-before-policy"] = 0
                }
            } _: { bench in
                let tokens = try await bench.logIn(with: bench.relyingParty()).tokens
                #expect(tokens.expiresIn == seconds)
            }
        }
    }

    @Test("R46: neither errors nor logs hold secrets")
    func secretsStayInside() async throws {
        let log = RecordingLog()
        let canary = "canary-7f3a"
        let replies: [ScriptedProvider.Reply?] = [
            .json(400, ["error": "invalid_grant", "error_description": .string(canary)]),
            .json(401, ["error": .string("<\(canary)>")]), .body(status: 500, type: "text/html", text: canary),
            .body(status: 200, type: "application/json", text: "{\"access_token\":\"\(canary)"), nil,
        ]
        for reply in replies {
            try await TestBench.run {
                $0.replies[.token] = reply
                $0.tokens = {
                    $0["access_token"] = .string(canary)
                    $0["refresh_token"] = .string(canary)
                }
                $0.idToken = { $0.claims["nonce"] = .string(canary) }
            } _: { bench in
                let party = bench.relyingParty(configure: { $0.clientSecret = canary }, logger: log.logger)
                let login = try await party.beginLogin()
                let callback = try bench.provider.authorize(login)
                do {
                    _ = try await party.finishLogin(callback, pending: login.pending)
                    Issue.record("no error was thrown")
                } catch {
                    #expect(!"\(error)".contains(canary))
                }
                var dumped = "\(login)\(login.pending)\(callback)\(bench.configuration)"
                dump((login, callback), to: &dumped)
                for secret in [canary, login.pending.state, login.pending.nonce, login.pending.codeVerifier, "s3cret"] {
                    #expect(!log.text.contains(secret))
                    #expect(!dumped.contains(secret))
                }
                let code = try #require(callback.code)
                #expect(!log.text.contains(code))
                #expect(!dumped.contains(code))
            }
        }
        #expect(!log.text.isEmpty)
    }
}
