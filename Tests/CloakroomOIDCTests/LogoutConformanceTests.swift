import Cloakroom
import Crypto
import Foundation
import Testing

@testable import CloakroomOIDC

/// The modules of the OpenID Foundation's logout plans for relying parties that a logout token decides, re-created against a
/// scripted provider. That is no certification.
@Suite("Conformance, logout")
struct LogoutConformanceTests {
    /// A right logout token of this provider, for a test to spoil.
    private func draft(_ bench: TestBench) throws -> TokenDraft {
        let now = Int(Date().timeIntervalSince1970)
        var draft = TokenDraft(
            claims: [
                "iss": .string(bench.provider.issuer), "aud": "client", "iat": .number("\(now)"),
                "exp": .number("\(now + 120)"), "jti": "token-1", "sub": "alice", "sid": "provider-session",
                "events": [LogoutToken.event: [:]],
            ], key: try TestKey.rsa.get())
        draft.header["typ"] = "logout+jwt"
        return draft
    }

    private func verify(
        _ bench: TestBench, types: LogoutTokenTypes = .strict, _ change: (inout TokenDraft) throws -> Void = { _ in }
    ) async throws -> ProviderLogout {
        var draft = try draft(bench)
        try change(&draft)
        return try await LogoutVerifier(bench.relyingParty { $0.logoutTokenTypes = types })
            .verify(logoutToken: try draft.encoded())
    }

    /// Expects that a token is refused, spoiled in one of these ways.
    private func expectRefusal(
        _ words: String, _ bench: TestBench, types: [LogoutTokenTypes] = [.strict, .lenient],
        sourceLocation: SourceLocation = #_sourceLocation, _ change: (inout TokenDraft) throws -> Void
    ) async {
        for types in types {
            await expectFailure(.invalidLogoutToken, words, sourceLocation: sourceLocation) {
                _ = try await verify(bench, types: types, change)
            }
        }
    }

    @Test(
        "R26 R27 oidcc-client-test-rp-backchannel-rpinitlogout: a right logout token names the session that is to end")
    func plain() async throws {
        try await TestBench.run { bench in
            let before = Date()
            for types in [LogoutTokenTypes.strict, .lenient] {
                let logout = try await verify(bench, types: types)
                #expect(
                    logout.subject
                        == .session(ProviderSession(issuer: bench.provider.issuer, sid: "provider-session")))
                #expect(logout.issuer == bench.provider.issuer && logout.tokenID == "token-1")
                // Its own end and the minute that clocks may differ by.
                #expect((170...200).contains(logout.acceptedUntil.timeIntervalSince(before)))
            }
            // Its keys are fetched when they are first needed, and no other endpoint has a part in it.
            #expect(bench.provider.requests(to: .token).isEmpty)
        }
    }

    @Test("R27: sid names one session of the provider, sub alone all of the user; one of them must be there")
    func subjects() async throws {
        try await TestBench.run { bench in
            let issuer = bench.provider.issuer
            let user = try await verify(bench) { $0.claims["sid"] = nil }
            #expect(user.subject == .user(UserIdentity(issuer: issuer, subject: "alice")))
            let session = try await verify(bench) { $0.claims["sub"] = nil }
            #expect(session.subject == .session(ProviderSession(issuer: issuer, sid: "provider-session")))
            await expectRefusal("neither a session nor a user", bench) {
                $0.claims["sid"] = nil
                $0.claims["sub"] = nil
            }
            for bad: JSONValue in ["", 7, .null, "a\r\nX-Evil: 1", .string(String(repeating: "a", count: 1025))] {
                await expectRefusal("its sid is unfit", bench) { $0.claims["sid"] = bad }
                await expectRefusal("its sub is unfit", bench) { $0.claims["sub"] = bad }
            }
            await expectRefusal("its sub is unfit", bench) {
                $0.claims["sub"] = .string(String(repeating: "a", count: 256))
            }
            let long = String(repeating: "a", count: 1024)
            let longest = try await verify(bench) { $0.claims["sid"] = .string(long) }
            #expect(longest.subject == .session(ProviderSession(issuer: issuer, sid: long)))
        }
    }

    @Test("R28 oidcc-client-test-rp-backchannel-rpinitlogout-alg-none: an unsigned logout token is refused")
    func unsigned() async throws {
        try await TestBench.run { bench in
            for name in ["none", "None", "NONE"] {
                await expectRefusal("algorithm", bench) {
                    $0.header["alg"] = .string(name)
                    $0.header["kid"] = nil
                    $0.sign = { _ in [] }
                }
            }
        }
    }

    @Test("R28 oidcc-client-test-rp-backchannel-rpinitlogout-no-event: without events it is no logout token")
    func noEvent() async throws {
        try await TestBench.run { bench in
            for bad: JSONValue? in [nil, .null, [:], [], .string(LogoutToken.event), [.string(LogoutToken.event)]] {
                await expectRefusal("events", bench) { $0.claims["events"] = bad }
            }
        }
    }

    @Test("R28 oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event: another event is no logout")
    func wrongEvent() async throws {
        try await TestBench.run { bench in
            for name in [
                "http://schemas.openid.net/event/frontchannel-logout", LogoutToken.event + "/",
                "HTTP://schemas.openid.net",
            ] {
                await expectRefusal("events", bench) { $0.claims["events"] = .object([name: [:]]) }
            }
            for value: JSONValue in [.null, true, "x", []] {
                await expectRefusal("events", bench) { $0.claims["events"] = .object([LogoutToken.event: value]) }
            }
            // Others beside it are none of our business.
            _ = try await verify(bench) {
                $0.claims["events"] = .object([LogoutToken.event: ["why": "idle"], "urn:other": [:]])
            }
        }
    }

    @Test("R28 oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce: an ID token never passes for a logout token")
    func nonce() async throws {
        try await TestBench.run { bench in
            for value: JSONValue in ["n-1", "", .null] {
                await expectRefusal("nonce", bench) { $0.claims["nonce"] = value }
            }
            let idToken = try #require(try await bench.logIn(with: bench.relyingParty()).tokens.idToken)
            for types in [LogoutTokenTypes.strict, .lenient] {
                await expectFailure(.invalidLogoutToken) {
                    _ = try await LogoutVerifier(bench.relyingParty { $0.logoutTokenTypes = types })
                        .verify(logoutToken: idToken)
                }
            }
        }
    }

    @Test(
        "R28 oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg: HMAC, with the public key or the client's secret, is refused"
    )
    func wrongAlgorithm() async throws {
        try await TestBench.run { bench in
            let secrets = [Data(bench.configuration.clientSecret?.utf8 ?? "".utf8), try TestKey.rsa.get().jwk.bytes]
            for secret in secrets {
                for name in ["HS256", "hs256", "RS257"] {
                    await expectRefusal("algorithm", bench) {
                        $0.header["alg"] = .string(name)
                        $0.sign = { Array(HMAC<SHA256>.authenticationCode(for: $0, using: SymmetricKey(data: secret))) }
                    }
                }
            }
            // An algorithm that the key is not for.
            await expectRefusal("no key", bench) { $0.header["alg"] = "RS512" }
            await expectRefusal("no key", bench) { $0.header["alg"] = "ES256" }
        }
    }

    @Test("R28: a token of an unknown key, or with a wrong signature, is refused")
    func wrongSignature() async throws {
        try await TestBench.run { bench in
            let other = try TestKey.otherRSA.get()
            await expectRefusal("no key", bench) { $0.use(other) }
            await expectRefusal("signature", bench) { $0.forge(with: other) }
            await expectRefusal("signature", bench) { $0.sign = { _ in [] } }
            await expectRefusal("critical", bench) { $0.header["crit"] = ["x"] }
            let verifier = LogoutVerifier(bench.relyingParty())
            let bad = [
                "", ".", "..", "a.b.c", "a.b.c.d.e", String(repeating: "a", count: 70_000), "e30.e30.", "\0.\0.\0",
            ]
            for text in bad {
                await expectFailure(.invalidLogoutToken) { _ = try await verifier.verify(logoutToken: text) }
            }
        }
    }

    @Test("R28: every algorithm of the list is accepted, with a key of its kind")
    func otherAlgorithms() async throws {
        let keys = [
            TestKey.p256, .p384, .p521, .ed25519, try TestKey.rsa.get().renamed(keyID: "ps", algorithm: "PS256"),
        ]
        for key in keys {
            try await TestBench.run {
                $0.keys = [.object(try key.jwk)]
            } _: { bench in
                let logout = try await verify(bench) {
                    $0.use(key)
                    $0.header["typ"] = "logout+jwt"
                }
                #expect(logout.tokenID == "token-1")
            }
        }
    }

    @Test("R28 oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud: a token for another client is refused")
    func wrongAudience() async throws {
        try await TestBench.run { bench in
            await expectRefusal("not for this client", bench) { $0.claims["aud"] = "another" }
            await expectRefusal("not for this client", bench) { $0.claims["aud"] = ["another", "client "] }
            await expectRefusal("audience", bench) { $0.claims["aud"] = nil }
            await expectRefusal("strings", bench) { $0.claims["aud"] = ["client", 1] }
            _ = try await verify(bench) { $0.claims["aud"] = ["another", "client"] }
        }
    }

    @Test(
        "R28 oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss: a token of another issuer is refused, and its keys are not asked for"
    )
    func wrongIssuer() async throws {
        try await TestBench.run { bench in
            let issuer = bench.provider.issuer
            for wrong: JSONValue? in [
                nil, .null, 7, "", "https://evil.example.com", .string(issuer + "/"), .string(issuer.uppercased()),
            ] {
                await expectRefusal("issuer", bench) { $0.claims["iss"] = wrong }
            }
            #expect(bench.provider.requests(to: .keys).isEmpty && bench.provider.requests(to: .metadata).isEmpty)
        }
    }

    @Test("R28: the type must be logout+jwt; what older providers send needs the lenient setting")
    func types() async throws {
        try await TestBench.run { bench in
            for good in ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt"] {
                for types in [LogoutTokenTypes.strict, .lenient] {
                    _ = try await verify(bench, types: types) { $0.header["typ"] = .string(good) }
                }
            }
            for old: JSONValue? in ["JWT", "jwt", nil] {
                await expectRefusal("typ", bench, types: [.strict]) { $0.header["typ"] = old }
                _ = try await verify(bench, types: .lenient) { $0.header["typ"] = old }
            }
            for wrong in ["at+jwt", "logout", "", "JWT "] {
                await expectRefusal("typ", bench) { $0.header["typ"] = .string(wrong) }
            }
        }
    }

    @Test("R28: times: iat must be there and not lie ahead, exp may be missing with the lenient setting alone")
    func times() async throws {
        let now = Int(Date().timeIntervalSince1970)
        func time(_ offset: Int) -> JSONValue { .number("\(now + offset)") }
        try await TestBench.run { bench in
            await expectRefusal("iat is missing", bench) { $0.claims["iat"] = nil }
            await expectRefusal("iat is not a time", bench) { $0.claims["iat"] = "now" }
            await expectRefusal("in the future", bench) { $0.claims["iat"] = time(300) }
            await expectRefusal("expired", bench) { $0.claims["exp"] = time(-90) }
            await expectRefusal("exp is not a time", bench) { $0.claims["exp"] = .number("1e999") }
            await expectRefusal("not valid yet", bench) { $0.claims["nbf"] = time(300) }
            // Clocks may differ by a minute.
            _ = try await verify(bench) { $0.claims["exp"] = time(-30) }
            _ = try await verify(bench) { $0.claims["iat"] = time(30) }

            await expectRefusal("exp is missing", bench, types: [.strict]) { $0.claims["exp"] = nil }
            _ = try await verify(bench, types: .lenient) { $0.claims["exp"] = nil }
            await expectRefusal("expired", bench, types: [.lenient]) {
                $0.claims["exp"] = nil
                $0.claims["iat"] = time(-300)
            }
            // So that names need not be remembered for years, a token is good for an hour at most.
            let logout = try await verify(bench) { $0.claims["exp"] = time(10 * 365 * 86_400) }
            #expect(logout.acceptedUntil.timeIntervalSinceNow < 3700)
            await expectRefusal("expired", bench) {
                $0.claims["iat"] = time(-3700)
                $0.claims["exp"] = time(86_400)
            }
        }
    }

    @Test("R28: without a usable jti a replay could not be told, so the token is refused")
    func tokenID() async throws {
        try await TestBench.run { bench in
            for bad: JSONValue? in [nil, .null, "", 7, .string(String(repeating: "a", count: 1025))] {
                await expectRefusal("jti", bench) { $0.claims["jti"] = bad }
            }
        }
    }

    @Test("a provider whose keys can't be fetched is no refusal of the token: it may come again")
    func providerDown() async throws {
        try await TestBench.run {
            $0.replies[.keys] = .json(500, [:])
        } _: { bench in
            await expectFailure(.providerUnavailable) { _ = try await verify(bench) }
        }
    }

    @Test("R28: rotated keys need no restart, and 100 tokens with unknown keys bring no storm of requests for keys")
    func rotation() async throws {
        try await TestBench.run { bench in
            let verifier = LogoutVerifier(bench.relyingParty())
            var first = try draft(bench)
            _ = try await verifier.verify(logoutToken: try first.encoded())
            let newer = try TestKey.otherRSA.get()
            let jwk = try newer.jwk
            bench.provider.change { $0.keys.append(.object(jwk)) }
            first.use(newer)
            first.header["typ"] = "logout+jwt"
            _ = try await verifier.verify(logoutToken: try first.encoded())
            let before = bench.provider.requests(to: .keys).count
            for number in 0..<100 {
                var forged = try draft(bench)
                forged.use(newer.renamed(keyID: "unknown-\(number)"))
                forged.header["typ"] = "logout+jwt"
                let text = try forged.encoded()
                await expectFailure(.invalidLogoutToken, "no key") { _ = try await verifier.verify(logoutToken: text) }
            }
            #expect(bench.provider.requests(to: .keys).count - before <= 1)
        }
    }

    @Test(
        "of several clients at one provider, each gets the tokens that are for it; of several providers, each its own")
    func severalParties() async throws {
        try await TestBench.run { bench in
            let parties = ["client", "other"].map { id in bench.relyingParty { $0.clientID = id } }
            let issuer = bench.provider.issuer
            let verifier = LogoutVerifier { $0 == issuer ? parties : [] }
            for audience: JSONValue in ["client", "other", ["x", "other"]] {
                var draft = try draft(bench)
                draft.claims["aud"] = audience
                _ = try await verifier.verify(logoutToken: try draft.encoded())
            }
            var wrong = try draft(bench)
            wrong.claims["aud"] = "third"
            let text = try wrong.encoded()
            await expectFailure(.invalidLogoutToken, "not for this client") {
                _ = try await verifier.verify(logoutToken: text)
            }
        }
    }

    @Test(
        "R29: the provider's pages are at its issuer and where its logout page is, and nothing more fits into the policy"
    )
    func origins() async throws {
        try await TestBench.run {
            $0.metadata["end_session_endpoint"] = "https://accounts.example.com:8443/logout?x=1"
        } _: { bench in
            let verifier = LogoutVerifier(bench.relyingParty())
            #expect(
                await verifier.pageOrigins(ofIssuer: bench.provider.issuer)
                    == [bench.provider.issuer, "https://accounts.example.com:8443"])
            #expect(await verifier.pageOrigins(ofIssuer: "https://evil.example.com") == nil)
        }
        #expect(RelyingParty.origin(of: "HTTPS://Id.Example.com/realms/a") == "https://id.example.com")
        #expect(RelyingParty.origin(of: "http://[::1]:8080/") == "http://[::1]:8080")
        for odd in [
            "https://a;script-src/", "https://a,b/", "https://*.example.com/", "javascript:alert(1)", "x", "https://",
        ] {
            #expect(RelyingParty.origin(of: odd) == nil, "\(odd)")
        }
    }
}

extension JSONObject {
    fileprivate var bytes: Data { Data(JSONValue.object(self).serialized) }
}
