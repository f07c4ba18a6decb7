import Cloakroom
import Crypto
import Testing

@testable import CloakroomOIDC

@Suite("Addresses for the browser")
struct AuthorizationURLTests {
    @Test("R1 R2: the authorization request asks for a code with S256 and fresh secrets")
    func authorizationRequest() async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty { $0.clientID = "a client/ü&=+" }
            var seen: Set<String> = []
            for _ in 0..<10 {
                let login = try await party.beginLogin()
                let pending = login.pending
                let query = try parameters(of: login.authorizationURL)
                #expect(
                    query == [
                        "response_type": "code", "client_id": "a client/ü&=+",
                        "redirect_uri": "https://app.example.com/auth/callback", "scope": "openid profile email",
                        "state": pending.state, "nonce": pending.nonce,
                        "code_challenge": RelyingParty.codeChallenge(pending.codeVerifier),
                        "code_challenge_method": "S256",
                    ])
                #expect(!login.authorizationURL.contains(pending.codeVerifier))
                for secret in [pending.state, pending.nonce, pending.codeVerifier] {
                    #expect(secret.utf8.count == 43)
                    #expect(seen.insert(secret).inserted)
                }
            }
            let url = try await party.beginLogin().authorizationURL
            #expect(url.contains("client_id=a%20client%2F%C3%BC%26%3D%2B&"))
        }
    }

    @Test("R2: the challenge is that of RFC 7636 appendix B")
    func challenge() {
        #expect(
            RelyingParty.codeChallenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
                == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    }

    @Test("An existing query of the authorization endpoint is kept")
    func existingQuery() async throws {
        for (suffix, begin) in [("?tenant=a%20b", "?tenant=a%20b&resp"), ("?", "?resp"), ("?x=1&", "?x=1&resp")] {
            try await TestBench.run { bench in
                let endpoint = bench.provider.issuer + "/authorize" + suffix
                bench.provider.change { $0.metadata["authorization_endpoint"] = .string(endpoint) }
                let url = try await bench.relyingParty().beginLogin().authorizationURL
                #expect(url.hasPrefix(bench.provider.issuer + "/authorize" + begin), "\(url)")
            }
        }
    }

    @Test("R25: the logout address has hint, client, return address and state")
    func logout() async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty()
            let url = try #require(try await party.logoutURL(idToken: "a.b.c", state: "s t"))
            #expect(url.hasPrefix(bench.provider.issuer + "/logout?"))
            #expect(
                try parameters(of: url) == [
                    "id_token_hint": "a.b.c", "client_id": "client", "state": "s t",
                    "post_logout_redirect_uri": "https://app.example.com/?bye=1",
                ])
        }
    }

    @Test("R25: each logout has the state that the caller chose")
    func logoutWithOtherState() async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty()
            for state in ["one", "two"] {
                let url = try #require(try await party.logoutURL(idToken: nil, state: state))
                #expect(try parameters(of: url)["state"] == state)
                #expect(try parameters(of: url)["id_token_hint"] == nil)
            }
        }
    }

    @Test("R25: without state there is none")
    func logoutWithoutState() async throws {
        try await TestBench.run { bench in
            let url = try #require(try await bench.relyingParty().logoutURL(idToken: "a.b.c", state: nil))
            #expect(
                try parameters(of: url).keys.sorted() == ["client_id", "id_token_hint", "post_logout_redirect_uri"])
            let nowhere = bench.relyingParty { $0.postLogoutRedirectURI = nil }
            let bare = try #require(try await nowhere.logoutURL(idToken: "a.b.c", state: "s"))
            #expect(try parameters(of: bare).keys.sorted() == ["client_id", "id_token_hint"])
        }
    }

    @Test("R25: a provider without end_session_endpoint has no logout address")
    func noLogout() async throws {
        try await TestBench.run {
            $0.metadata["end_session_endpoint"] = .some(nil)
        } _: { bench in
            let url = try await bench.relyingParty().logoutURL(idToken: "a.b.c", state: "s")
            #expect(url == nil)
        }
    }

    @Test("Percent-encoding leaves the unreserved characters and nothing else")
    func percentEncoding() {
        #expect(PercentCoding.encode("AZaz09-._~") == "AZaz09-._~")
        #expect(PercentCoding.encode(" %&+£€") == "%20%25%26%2B%C2%A3%E2%82%AC")
        #expect(
            PercentCoding.encode("a:b/c?d#e[f]@!$'()*,;=\r\n\"")
                == "a%3Ab%2Fc%3Fd%23e%5Bf%5D%40%21%24%27%28%29%2A%2C%3B%3D%0D%0A%22")
        let form: Parameters = ["a b": "c&d", "e": ""]
        #expect(form.encoded == "a%20b=c%26d&e=")
        #expect(Parameters().encoded == "")
    }

    @Test("R10: ID and secret are encoded before they are joined (RFC 6749 §2.3.1)")
    func basicCredentials() {
        // "a%3Ab:c%3Ad"
        #expect(RelyingParty.basicCredentials(clientID: "a:b", secret: "c:d") == "Basic YSUzQWI6YyUzQWQ=")
        #expect(
            RelyingParty.basicCredentials(clientID: "s6BhdRkqt3", secret: "gX1fBat3bV")
                == "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW")
    }
}
