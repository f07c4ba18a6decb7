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

    @Test("R23 oidcc-client-test-refresh-token-invalid-issuer: a new ID token of another issuer is refused")
    func invalidIssuer() async throws {
        try await refresh {
            $0.idToken = { $0.claims["iss"] = "https://evil.example.com" }
        } _: { _, _, refresh in
            await expectFailure(.invalidIDToken, "issuer") { _ = try await refresh() }
        }
    }

    @Test("R23 oidcc-client-test-refresh-token-invalid-sub: a new ID token about another subject is refused")
    func invalidSubject() async throws {
        try await refresh {
            $0.idToken = { $0.claims["sub"] = "mallory" }
        } _: { _, _, refresh in
            await expectFailure(.invalidIDToken, "another subject") { _ = try await refresh() }
        }
    }

    @Test("R23: a new ID token has the audience, and if both have one the nonce, of the old one")
    func continuity() async throws {
        try await refresh {
            $0.idToken = { $0.claims["nonce"] = "another" }
        } _: { _, _, refresh in
            await expectFailure(.invalidIDToken, "nonce") { _ = try await refresh() }
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
            await expectFailure(.invalidIDToken, "audience") { _ = try await party.refresh(session) }
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
            for user in [UserInfo(subject: "bob"), UserInfo(claims: [:])] {
                var other = same
                other.userInfo = user
                await expectFailure(.invalidIDToken, "another subject") { _ = try await party.refresh(other) }
            }
        }
    }

    @Test("R7: a new ID token with a wrong signature is refused")
    func wrongSignature() async throws {
        let stranger = try TestKey.otherRSA.get()
        try await refresh {
            $0.idToken = { $0.forge(with: stranger) }
        } _: { _, _, refresh in
            await expectFailure(.invalidIDToken, "signature") { _ = try await refresh() }
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

    @Test("R19 R24: invalid_grant is what ends a session", arguments: [400, 401, 403])
    func invalidGrant(status: Int) async throws {
        try await refresh {
            $0.replies[.token] = .json(status, ["error": "invalid_grant", "error_description": "secret-7"])
        } _: { _, _, refresh in
            await expectFailure(.invalidGrant, "invalid_grant") { _ = try await refresh() }
        }
    }

    @Test("R19: a session without a refresh token can't be refreshed, and nothing is sent")
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
