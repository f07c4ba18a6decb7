import Cloakroom
import Testing

@testable import CloakroomOIDC

@Suite("Pushed authorization requests (RFC 9126)")
struct PushedAuthorizationTests {
    private static let endpoint = "pushed_authorization_request_endpoint"

    /// Runs a provider that takes pushed requests.
    private func run(
        requires: Bool = false, reply: ScriptedProvider.Reply? = nil, _ body: (TestBench) async throws -> Void
    ) async throws {
        try await TestBench.run {
            $0.replies[.push] = reply
            if requires { $0.metadata["require_pushed_authorization_requests"] = true }
        } _: { bench in
            bench.provider.change { $0.metadata[Self.endpoint] = .string(bench.provider.issuer + "/par") }
            try await body(bench)
        }
    }

    @Test("R1, R2, R3: all goes to the provider itself, and the browser carries a name for it")
    func pushed() async throws {
        try await run { bench in
            let party = bench.relyingParty()
            let login = try await party.beginLogin()
            let query = try parameters(of: login.authorizationURL)
            #expect(query.keys.sorted() == ["client_id", "request_uri"] && query["client_id"] == "client")
            let request = try #require(bench.provider.requests(to: .push).first)
            #expect(request.method == "POST" && request.authorization?.hasPrefix("Basic ") == true)
            var expected = [
                "response_type": "code", "client_id": "client", "redirect_uri": party.configuration.redirectURI,
                "scope": "openid profile email", "code_challenge_method": "S256",
            ]
            expected["state"] = login.pending.state
            expected["nonce"] = login.pending.nonce
            expected["code_challenge"] = RelyingParty.codeChallenge(login.pending.codeVerifier)
            #expect(request.form == expected)
            let result = try await party.finishLogin(
                try bench.provider.authorize(login), pending: login.pending)
            #expect(result.userInfo.subject == "alice")
        }
    }

    @Test("R10: the client shows who it is, as at the token endpoint")
    func authentication() async throws {
        let key = try ClientKey.generate(.es256)
        var values = ClientCredentials.Values()
        values.keys = [key]
        let credentials = ClientCredentials(values)
        try await run { bench in
            let party = bench.relyingParty {
                $0.clientAuthentication = .privateKeyJWT
                $0.credentials = credentials
            }
            _ = try await bench.logIn(with: party)
            let form = try #require(bench.provider.requests(to: .push).first?.form)
            #expect(form["client_id"] == "client" && form["client_secret"] == nil)
            let token = try SignedToken(try #require(form["client_assertion"]))
            #expect(token.isSigned(byOneOf: [try #require(VerificationKey(key.publicKey))]))
            #expect(token.claims["aud"]?.string == bench.provider.issuer + "/token")

            let open = bench.relyingParty {
                $0.clientSecret = nil
                $0.clientAuthentication = .none
            }
            _ = try await bench.logIn(with: open)
            let last = try #require(bench.provider.requests(to: .push).last?.form)
            #expect(last["client_assertion"] == nil && last["client_id"] == "client")
        }
    }

    @Test("Where the provider does not offer it, auto goes without and on fails; off never pushes")
    func settings() async throws {
        try await TestBench.run { bench in
            _ = try await bench.logIn(with: bench.relyingParty())
            let party = bench.relyingParty { $0.pushedAuthorization = .on }
            await expectFailure(.invalidResponse, "OIDC_PAR is on") { _ = try await party.beginLogin() }
        }
        try await run { bench in
            _ = try await bench.logIn(with: bench.relyingParty { $0.pushedAuthorization = .off })
            #expect(bench.provider.requests(to: .push).isEmpty)
        }
        try await run(requires: true) { bench in
            _ = try await bench.logIn(with: bench.relyingParty())
            let party = bench.relyingParty { $0.pushedAuthorization = .off }
            await expectFailure(.invalidResponse, "OIDC_PAR is off") { _ = try await party.beginLogin() }
        }
        try await TestBench.run {
            $0.metadata["require_pushed_authorization_requests"] = true
        } _: { bench in
            await expectFailure(.invalidResponse, "names no endpoint") {
                _ = try await bench.relyingParty().beginLogin()
            }
        }
    }

    @Test(
        "An answer that is none begins no login",
        arguments: [
            (.json(401, ["error": "invalid_client"]), .clientRejected, "401 with invalid_client"),
            (.json(400, ["error": "invalid_request"]), .invalidResponse, "400 with invalid_request"),
            (.json(503, [:]), .providerUnavailable, "503"), (.json(429, [:]), .providerUnavailable, "429"),
            (.json(201, [:]), .invalidResponse, "no usable request_uri"),
            (.json(201, ["request_uri": 1]), .invalidResponse, "no usable request_uri"),
            (.json(201, ["request_uri": "a\r\nb"]), .invalidResponse, "no usable request_uri"),
            (.json(201, ["request_uri": .string(String(repeating: "a", count: 3000))]), .invalidResponse, "no usable"),
            (.body(status: 201, type: "text/html", text: "<html>"), .invalidResponse, "no usable request_uri"),
            (.redirect("/par"), .invalidResponse, "302"), (.hang, .providerUnavailable, "too long"),
            (.hangInBody, .providerUnavailable, "too long"),
            (.flood(bytes: 10 << 20, announced: true), .invalidResponse, "larger than"),
            (.flood(bytes: 10 << 20, announced: false), .invalidResponse, "larger than"),
        ] as [(ScriptedProvider.Reply, OIDCError.Code, String)])
    func refusals(reply: ScriptedProvider.Reply, code: OIDCError.Code, words: String) async throws {
        try await run(reply: reply) { bench in
            let party = bench.relyingParty { $0.requestTimeout = .seconds(2) }
            await expectFailure(code, words) { _ = try await party.beginLogin() }
        }
    }

    @Test("R50: a crowd that begins logins at a provider that hangs is turned away, and refreshes go on")
    func crowd() async throws {
        try await run { bench in
            let party = bench.relyingParty { $0.requestTimeout = .milliseconds(500) }
            let session = bench.session(of: try await bench.logIn(with: party))
            bench.provider.change { $0.replies[.push] = .hang }
            let start = ContinuousClock.now
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<300 {
                    group.addTask {
                        do throws(OIDCError) {
                            _ = try await party.beginLogin()
                            return true
                        } catch {
                            return error.code != .providerUnavailable
                        }
                    }
                }
                group.addTask {
                    _ = try await party.refresh(session)
                    return false
                }
                for try await isWrong in group { #expect(!isWrong) }
            }
            #expect(ContinuousClock.now - start < .seconds(10))
            // The login's and the refresh's.
            #expect(bench.provider.requests(to: .token).count == 2)
            #expect(bench.provider.requests(to: .push).count <= 16)
        }
    }
}
