import Cloakroom
import Foundation
import Testing

@testable import CloakroomOIDC

/// The modules of the OpenID Foundation's relying-party plan for refresh tokens, re-created, and what real providers do.
@Suite("Conformance, refresh")
struct RefreshConformanceTests {
    /// Logs in, changes the provider, refreshes.
    private func refresh(
        _ change: @escaping @Sendable (inout ScriptedProvider.Script) -> Void,
        _ check: @Sendable (TestBench, Session, () async throws -> TokenSet) async throws -> Void
    ) async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty()
            let session = bench.session(of: try await bench.logIn(with: party))
            bench.provider.change(change)
            try await check(bench, session) { try await party.refresh(session) }
        }
    }

    @Test("R22 oidcc-client-test-refresh-token: new tokens for the old refresh token")
    func refreshToken() async throws {
        try await refresh {
            $0.tokens = {
                $0["access_token"] = "access-2"
                $0["refresh_token"] = "refresh-2"
                $0["expires_in"] = "60"
            }
        } _: { bench, session, refresh in
            let tokens = try await refresh()
            #expect(tokens.accessToken == "access-2")
            #expect(tokens.refreshToken == "refresh-2")
            #expect(tokens.expiresIn == 60)
            #expect(tokens.idToken != nil)
            let request = try #require(bench.provider.requests(to: .token).last)
            #expect(request.form == ["grant_type": "refresh_token", "refresh_token": "refresh-1"])
            #expect(request.authorization?.hasPrefix("Basic ") == true)
        }
    }

    @Test("R22: an answer without refresh and ID token is good; the session keeps its own")
    func sparseAnswer() async throws {
        try await refresh {
            $0.tokens = { $0 = ["access_token": "access-2", "token_type": "bearer"] }
        } _: { _, session, refresh in
            let tokens = try await refresh()
            #expect(tokens.refreshToken == nil)
            #expect(tokens.idToken == nil)
            #expect(session.refreshed(with: tokens, at: Date()).tokens.refreshToken == "refresh-1")
        }
    }

    @Test("R23 oidcc-client-test-refresh-token-invalid-issuer: with an ID token of another issuer nothing is used")
    func invalidIssuer() async throws {
        try await refresh {
            $0.idToken = { $0.claims["iss"] = "https://evil.example.com" }
        } _: { _, _, refresh in
            await expectFailure(.identityMismatch, "issuer") { _ = try await refresh() }
        }
    }

    @Test("R23 oidcc-client-test-refresh-token-invalid-sub: with an ID token about another subject nothing is used")
    func invalidSubject() async throws {
        let stranger = try TestKey.otherRSA.get()
        let changes: [@Sendable (inout TokenDraft) -> Void] = [
            { $0.claims["sub"] = "mallory" },
            // Whoever signed it: a token that says so is no reason to go on.
            {
                $0.claims["sub"] = "mallory"
                $0.forge(with: stranger)
            },
            {
                $0.claims["sub"] = "mallory"
                $0.claims["exp"] = 1
            },
        ]
        for change in changes {
            try await refresh {
                $0.idToken = change
            } _: { _, _, refresh in
                await expectFailure(.identityMismatch, "another subject") { _ = try await refresh() }
            }
        }
    }

    @Test("R23: a new ID token has the audience, and if both have one the nonce, of the old one")
    func continuity() async throws {
        try await refresh {
            $0.idToken = { $0.claims["nonce"] = "another" }
        } _: { _, _, refresh in
            await expectFailure(.identityMismatch, "nonce") { _ = try await refresh() }
        }
        try await refresh {
            $0.idToken = { $0.claims["aud"] = "another" }
        } _: { _, _, refresh in
            await expectFailure(.identityMismatch, "client") { _ = try await refresh() }
        }
        try await TestBench.run {
            $0.idToken = {
                $0.claims["aud"] = ["client", "api"]
                $0.claims["azp"] = "client"
            }
        } _: { bench in
            let party = bench.relyingParty()
            let session = bench.session(of: try await bench.logIn(with: party))
            #expect(try await party.refresh(session).accessToken == "access-1")
            bench.provider.change { $0.idToken = { $0.claims["aud"] = "client" } }
            await expectFailure(.identityMismatch, "audience") { _ = try await party.refresh(session) }
        }
    }

    @Test("R23: without an old ID token the subject is compared with the user info")
    func withoutOldIDToken() async throws {
        try await refresh { _ in
        } _: { bench, session, _ in
            let party = bench.relyingParty()
            var same = session
            same.tokens.idToken = nil
            let tokens = try await party.refresh(same)
            #expect(tokens.accessToken == "access-1")
            #expect(tokens.idToken != nil)
            var other = same
            other.userInfo = UserInfo(subject: "bob")
            await expectFailure(.identityMismatch, "another subject") { _ = try await party.refresh(other) }
            // Nothing to compare with: the ID token is of no use.
            var nobody = same
            nobody.userInfo = UserInfo(claims: [:])
            #expect(try await party.refresh(nobody).idToken == nil)
        }
    }

    @Test("R22, R7: a rotated refresh token outlives an ID token that can't be verified; that is not kept")
    func unverifiableIDToken() async throws {
        let stranger = try TestKey.otherRSA.get()
        let changes: [@Sendable (inout TokenDraft) -> Void] = [
            { $0.forge(with: stranger) }, { $0.claims["exp"] = 1 }, { $0.claims["sub"] = .null },
            { $0.claims["iat"] = "yesterday" }, { $0.header["alg"] = "none" }, { $0.header["crit"] = ["b64"] },
        ]
        for change in changes {
            try await refresh {
                $0.idToken = change
                $0.tokens = {
                    $0["access_token"] = "access-2"
                    $0["refresh_token"] = "refresh-2"
                }
            } _: { _, session, refresh in
                let tokens = try await refresh()
                #expect(tokens.accessToken == "access-2" && tokens.refreshToken == "refresh-2")
                #expect(tokens.idToken == nil)
                let kept = session.refreshed(with: tokens, at: Date()).tokens.idToken
                #expect(kept == session.tokens.idToken && kept != nil)
            }
        }
        try await refresh {
            $0.tokens = {
                $0["id_token"] = "no.jwt"
                $0["refresh_token"] = "refresh-2"
            }
        } _: { _, _, refresh in
            let tokens = try await refresh()
            #expect(tokens.refreshToken == "refresh-2" && tokens.idToken == nil)
        }
    }

    @Test("R22: an access token that is not the one the ID token names is not used; the refresh token is kept")
    func anotherAccessToken() async throws {
        try await refresh {
            $0.idToken = { $0.claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }
            $0.tokens = {
                $0["access_token"] = "access-2"
                $0["refresh_token"] = "refresh-2"
            }
        } _: { bench, session, _ in
            let answer = try await bench.relyingParty().refreshedTokens(of: session)
            #expect(answer.tokens.accessToken == "access-1" && !answer.hasNewAccessToken)
            #expect(answer.tokens.refreshToken == "refresh-2" && answer.tokens.idToken == nil)
            // What is left of its life, not another whole one.
            #expect(try (295...300).contains(#require(answer.tokens.expiresIn)))
        }
    }

    @Test("R23: identifiers are compared to the byte, not by how they look")
    func canonicalEquivalents() async throws {
        let composed = "jos\u{E9}"
        let decomposed = "jose\u{301}"
        #expect(composed == decomposed && !sameBytes(composed, decomposed))
        try await TestBench.run {
            $0.idToken = { $0.claims["sub"] = .string(composed) }
            $0.userInfo = { $0["sub"] = .string(composed) }
        } _: { bench in
            let party = bench.relyingParty()
            let session = bench.session(of: try await bench.logIn(with: party))
            #expect(try await party.refresh(session).idToken != nil)
            bench.provider.change { $0.idToken = { $0.claims["sub"] = .string(decomposed) } }
            await expectFailure(.identityMismatch, "subject") { _ = try await party.refresh(session) }
        }
        // Audience and authorized party.
        try await TestBench.run {
            $0.idToken = { $0.claims["aud"] = .string(composed) }
        } _: { bench in
            let party = bench.relyingParty { $0.clientID = composed }
            let session = bench.session(of: try await bench.logIn(with: party))
            let other = bench.relyingParty { $0.clientID = decomposed }
            await expectFailure(.invalidIDToken, "client") { _ = try await bench.logIn(with: other) }
            bench.provider.change { $0.idToken = { $0.claims["aud"] = .string(decomposed) } }
            await expectFailure(.identityMismatch, "client") { _ = try await party.refresh(session) }
            bench.provider.change {
                $0.idToken = {
                    $0.claims["aud"] = .string(composed)
                    $0.claims["azp"] = .string(decomposed)
                }
            }
            await expectFailure(.identityMismatch, "authorized party") { _ = try await party.refresh(session) }
            await expectFailure(.invalidIDToken, "authorized party") { _ = try await bench.logIn(with: party) }
        }
        // UserInfo.
        try await TestBench.run {
            $0.idToken = { $0.claims["sub"] = .string(composed) }
            $0.userInfo = { $0["sub"] = .string(decomposed) }
        } _: { bench in
            await expectFailure(.invalidResponse, "another subject") {
                _ = try await bench.logIn(with: bench.relyingParty())
            }
        }
    }

    @Test("R7: an issuer that only looks like the configured one is another")
    func canonicalIssuer() async throws {
        try await TestBench.run { bench in
            let composed = bench.provider.issuer + "/\u{E9}"
            let discoveryURL = bench.provider.issuer + ScriptedProvider.Endpoint.metadata.rawValue
            let configuration = OIDCConfiguration(
                issuer: composed, clientID: "client", clientSecret: "s", redirectURI: "https://app.example.com/cb",
                discoveryURL: discoveryURL)
            let party = RelyingParty(configuration: configuration, httpClient: bench.client, logger: quietLogger)
            #expect(sameBytes(party.issuer, composed))
            let token = try JSONObject.claims(issuer: bench.provider.issuer + "/e\u{301}")
            let session = Session(
                tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "alice"), createdAt: Date(),
                expiresAt: Date().addingTimeInterval(60))
            let continuity = LoginContinuity(session: session, configuration: configuration)
            #expect(throws: OIDCError.self) { try continuity.check(token) }
            #expect(throws: Never.self) { try continuity.check(JSONObject.claims(issuer: composed)) }
        }
    }

    @Test("A login says who vouches for it: the verified issuer and the provider's session")
    func verifiedIssuer() async throws {
        try await TestBench.run { bench in
            let login = try await bench.logIn(with: bench.relyingParty())
            #expect(login.issuer == bench.provider.issuer)
            #expect(login.providerSessionID == "provider-session")
        }
    }

    @Test("R22: when keys can't be fetched, a rotated refresh token is not lost and the ID token is not kept")
    func keysUnavailable() async throws {
        try await refresh {
            $0.idToken = { $0.header["kid"] = "new" }
            $0.tokens = { $0["refresh_token"] = "refresh-2" }
            $0.replies[.keys] = .json(503, [:])
        } _: { _, _, refresh in
            let tokens = try await refresh()
            #expect(tokens.refreshToken == "refresh-2")
            #expect(tokens.idToken == nil)
        }
    }

    @Test("R24: invalid_grant is what ends a session", arguments: [400, 401, 403])
    func invalidGrant(status: Int) async throws {
        try await refresh {
            $0.replies[.token] = .json(status, ["error": "invalid_grant", "error_description": "secret-7"])
        } _: { _, _, refresh in
            await expectFailure(.invalidGrant, "invalid_grant") { _ = try await refresh() }
        }
    }

    @Test("A session without a refresh token can't be refreshed, and nothing is sent")
    func noRefreshToken() async throws {
        try await TestBench.run { bench in
            var session = bench.session(of: try await bench.logIn(with: bench.relyingParty()))
            session.tokens.refreshToken = nil
            let sent = bench.provider.requests(to: .token).count
            await expectFailure(.invalidGrant, "no refresh token") {
                _ = try await bench.relyingParty().refresh(session)
            }
            #expect(bench.provider.requests(to: .token).count == sent)
        }
    }

    @Test("R24: 5xx, overload and pages of proxies do not end a session")
    func unavailable() async throws {
        let replies: [ScriptedProvider.Reply] = [
            .body(status: 500, type: "text/html", text: "<h1>invalid_grant</h1>"),
            .json(500, ["error": "invalid_grant"]), .json(503, ["error": "invalid_grant"]),
            .body(status: 502, type: "text/html", text: ""), .json(429, ["error": "invalid_grant"]),
            .json(400, ["error": "temporarily_unavailable"]),
        ]
        for reply in replies {
            try await refresh {
                $0.replies[.token] = reply
            } _: { _, _, refresh in
                await expectFailure(.providerUnavailable) { _ = try await refresh() }
            }
        }
    }

    @Test("R24: refused credentials and odd answers are neither invalid_grant nor an outage")
    func otherRefusals() async throws {
        let replies: [(ScriptedProvider.Reply, OIDCError.Code)] = [
            (.json(401, ["error": "invalid_client"]), .clientRejected),
            (.json(400, ["error": "unauthorized_client"]), .clientRejected),
            (.body(status: 401, type: "text/plain", text: ""), .clientRejected),
            (.body(status: 403, type: "text/html", text: "<h1>invalid_grant</h1>"), .invalidResponse),
            (.json(400, ["error": "invalid_request"]), .invalidResponse),
            (.json(400, ["error": "invalid_grant\r\nX: y"]), .invalidResponse),
            (.json(400, []), .invalidResponse), (.redirect("/token"), .invalidResponse),
            (.json(200, ["access_token": "a"]), .invalidResponse), (.json(200, []), .invalidResponse),
        ]
        for (reply, code) in replies {
            try await refresh {
                $0.replies[.token] = reply
            } _: { _, _, refresh in
                await expectFailure(code) { _ = try await refresh() }
            }
        }
    }

    @Test("R24: a provider that is gone is unavailable")
    func connectionRefused() async throws {
        var gone: (configuration: OIDCConfiguration, session: Session)?
        try await TestBench.run { bench in
            let session = bench.session(of: try await bench.logIn(with: bench.relyingParty()))
            gone = (bench.configuration, session)
        }
        let (configuration, session) = try #require(gone)
        try await TestBench.run { bench in
            // The other provider's discovery still answers; its token endpoint, on a closed port, does not.
            bench.provider.change {
                $0.metadata = [
                    "issuer": .string(configuration.issuer), "token_endpoint": .string(configuration.issuer + "/token"),
                ]
            }
            let party = bench.relyingParty {
                $0.issuer = configuration.issuer
                $0.discoveryURL = bench.provider.issuer + ScriptedProvider.Endpoint.metadata.rawValue
            }
            await expectFailure(.providerUnavailable) { _ = try await party.refresh(session) }
        }
    }
}

extension JSONObject {
    fileprivate static func claims(issuer: String) throws -> JSONObject {
        ["iss": .string(issuer), "sub": "alice", "aud": "client"]
    }
}
