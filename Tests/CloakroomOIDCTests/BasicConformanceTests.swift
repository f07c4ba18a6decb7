import Cloakroom
import Crypto
import CryptoExtras
import Foundation
import Testing

@testable import CloakroomOIDC

/// The modules of the OpenID Foundation's basic relying-party plan, re-created against a scripted provider. That is no
/// certification.
@Suite("Conformance, basic")
struct BasicConformanceTests {
    /// Runs a login against a provider whose ID token is changed, and expects its refusal.
    private func expectRefusal(
        _ words: String, keys: [JSONValue]? = nil, sourceLocation: SourceLocation = #_sourceLocation,
        _ change: @escaping @Sendable (inout TokenDraft) -> Void
    ) async throws {
        try await TestBench.run {
            $0.idToken = change
            if let keys { $0.keys = keys }
        } _: { bench in
            await expectFailure(.invalidIDToken, words, sourceLocation: sourceLocation) {
                _ = try await bench.logIn(with: bench.relyingParty())
            }
            // A refused ID token ends the login: the access token is not used.
            #expect(bench.provider.requests(to: .userInfo).isEmpty, sourceLocation: sourceLocation)
        }
    }

    @Test("R1 R2 oidcc-client-test: a login with code, PKCE, state and nonce gives tokens and claims")
    func plain() async throws {
        try await TestBench.run { bench in
            let result = try await bench.logIn(with: bench.relyingParty())
            #expect(result.tokens.accessToken == "access-1")
            #expect(result.tokens.refreshToken == "refresh-1")
            #expect(result.tokens.expiresIn == 300)
            #expect(result.tokens.refreshExpiresIn == 1800)
            #expect(result.tokens.idToken?.split(separator: ".").count == 3)
            #expect(result.userInfo.subject == "alice")
            #expect(result.userInfo.email == "alice@example.com")
            #expect(result.providerSessionID == "provider-session")
            for name in ["iss", "aud", "exp", "iat", "nonce", "sid"] { #expect(result.userInfo[name] == nil) }
            let request = try #require(bench.provider.requests(to: .token).first)
            #expect(request.method == "POST")
            #expect(request.contentType == "application/x-www-form-urlencoded")
            #expect(request.form["redirect_uri"] == "https://app.example.com/auth/callback")
            #expect((43...128).contains(request.form["code_verifier"]?.utf8.count ?? 0))
        }
    }

    @Test("R7 oidcc-client-test-invalid-iss: an ID token of another issuer is refused")
    func invalidIssuer() async throws {
        try await expectRefusal("issuer") { $0.claims["iss"] = "https://evil.example.com" }
        try await expectRefusal("issuer") { $0.claims["iss"] = nil }
    }

    @Test("R7 oidcc-client-test-missing-sub: an ID token without a subject, or an unfit one, is refused")
    func missingSubject() async throws {
        try await expectRefusal("subject") { $0.claims["sub"] = nil }
        try await expectRefusal("subject") { $0.claims["sub"] = "" }
        try await expectRefusal("subject") { $0.claims["sub"] = 7 }
        try await expectRefusal("subject") { $0.claims["sub"] = "alice\r\nX-Evil: 1" }
        try await expectRefusal("subject") { $0.claims["sub"] = .string(String(repeating: "a", count: 256)) }
    }

    @Test("R7 oidcc-client-test-invalid-aud: an ID token for another client is refused")
    func invalidAudience() async throws {
        try await expectRefusal("not for this client") { $0.claims["aud"] = "another" }
        try await expectRefusal("not for this client") { $0.claims["aud"] = ["another", "third"] }
        try await expectRefusal("strings") { $0.claims["aud"] = ["client", 1] }
    }

    @Test("R7 oidcc-client-test-missing-aud: an ID token without an audience is refused")
    func missingAudience() async throws {
        try await expectRefusal("audience is missing") { $0.claims["aud"] = nil }
        try await expectRefusal("not for this client") { $0.claims["aud"] = [] }
    }

    @Test("R7: an ID token for several audiences must name us as the authorized party")
    func authorizedParty() async throws {
        try await expectRefusal("authorized party") { $0.claims["aud"] = ["client", "another"] }
        try await expectRefusal("authorized party") { $0.claims["azp"] = "another" }
        try await TestBench.run {
            $0.idToken = {
                $0.claims["aud"] = ["another", "client"]
                $0.claims["azp"] = "client"
            }
        } _: { bench in
            let result = try await bench.logIn(with: bench.relyingParty())
            #expect(result.userInfo.subject == "alice")
        }
    }

    @Test("R7 oidcc-client-test-missing-iat: an ID token without iat is refused")
    func missingIssuedAt() async throws {
        try await expectRefusal("iat is missing") { $0.claims["iat"] = nil }
        try await expectRefusal("iat is not a time") { $0.claims["iat"] = "now" }
        try await expectRefusal("in the future") {
            $0.claims["iat"] = .number("\(Int(Date().timeIntervalSince1970) + 600)")
        }
    }

    @Test("R7: an expired ID token, one without exp and one that is not valid yet are refused")
    func times() async throws {
        let now = Int(Date().timeIntervalSince1970)
        try await expectRefusal("expired") { $0.claims["exp"] = .number("\(now - 61)") }
        try await expectRefusal("exp is missing") { $0.claims["exp"] = nil }
        try await expectRefusal("exp is not a time") { $0.claims["exp"] = .number("1e999") }
        try await expectRefusal("not valid yet") { $0.claims["nbf"] = .number("\(now + 300)") }
    }

    @Test("R7: clocks may differ by up to a minute, and auth_time may be 0 or a fraction")
    func tolerated() async throws {
        let now = Int(Date().timeIntervalSince1970)
        for authTime in ["0", "1732390000.123"] {
            try await TestBench.run {
                $0.idToken = {
                    $0.claims["exp"] = .number("\(now - 30).5")
                    $0.claims["iat"] = .number("\(now + 30)")
                    $0.claims["auth_time"] = .number(authTime)
                }
            } _: { bench in
                let result = try await bench.logIn(with: bench.relyingParty())
                #expect(result.userInfo["auth_time"] == .number(authTime))
            }
        }
    }

    @Test("R7 oidcc-client-test-kid-absent-single-jwks: a token without key ID is accepted when there is one key")
    func keyIDAbsentSingleKey() async throws {
        let key = try TestKey.rsa.get()
        let bare = try key.jwk(with: ["kid": nil, "alg": nil])
        let encryption = try TestKey.otherRSA.get().jwk(with: ["use": "enc", "alg": "RSA-OAEP"])
        for keys in [[try key.jwk], [bare], [encryption, bare]] {
            try await TestBench.run {
                $0.keys = keys.map { .object($0) }
                $0.idToken = { $0.header["kid"] = nil }
            } _: { bench in
                let result = try await bench.logIn(with: bench.relyingParty())
                #expect(result.userInfo.subject == "alice")
            }
        }
    }

    @Test(
        "R7 oidcc-client-test-kid-absent-multiple-jwks: a token without key ID is refused when there are several keys")
    func keyIDAbsentSeveralKeys() async throws {
        let keys: [JSONValue] = [.object(try TestKey.rsa.get().jwk), .object(try TestKey.otherRSA.get().jwk)]
        try await expectRefusal("no key", keys: keys) { $0.header["kid"] = nil }
        let mixed: [JSONValue] = [.object(try TestKey.rsa.get().jwk), .object(try TestKey.p256.jwk)]
        try await expectRefusal("no key", keys: mixed) { $0.header["kid"] = nil }
    }

    @Test("R7: an unknown key ID never falls back to another key, even with the right signature")
    func unknownKeyID() async throws {
        try await expectRefusal("no key") { $0.header["kid"] = "unknown" }
        try await expectRefusal("key ID is not a string") { $0.header["kid"] = 1 }
        let nameless: [JSONValue] = [.object(try TestKey.rsa.get().jwk(with: ["kid": nil]))]
        try await expectRefusal("no key", keys: nameless) { _ in }
    }

    @Test(
        "R7 oidcc-client-test-idtoken-sig-rs256: and every other asymmetric algorithm is accepted",
        arguments: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
    func algorithms(_ algorithm: String) async throws {
        let key: TestKey =
            switch algorithm {
            case "ES256": .p256
            case "ES384": .p384
            case "ES512": .p521
            case "EdDSA": .ed25519
            default: try TestKey.rsa.get().renamed(algorithm: algorithm)
            }
        try await TestBench.run {
            // Among keys of other types, with and without the algorithm declared.
            $0.keys = [
                .object(try TestKey.otherRSA.get().jwk), .object(try key.jwk(with: ["alg": nil])),
                .object(try TestKey.otherP256.jwk),
            ]
            $0.signingKey = key
            $0.idToken = { draft in
                let algorithm = SignatureAlgorithm(rawValue: algorithm) ?? .rs256
                draft.claims["at_hash"] = .string(IDToken.accessTokenHash("access-1", algorithm: algorithm))
            }
        } _: { bench in
            let result = try await bench.logIn(with: bench.relyingParty())
            #expect(result.userInfo.subject == "alice")
        }
    }

    @Test("R7 oidcc-client-test-idtoken-sig-none: an unsigned ID token is refused")
    func unsigned() async throws {
        for name in ["none", "None", "NONE", ""] {
            try await expectRefusal("algorithm") {
                $0.header["alg"] = .string(name)
                $0.sign = { _ in [] }
            }
        }
        try await expectRefusal("algorithm") { $0.header["alg"] = nil }
    }

    @Test("R7 oidcc-client-test-invalid-sig-rs256: a wrong RS256 signature is refused")
    func wrongRSASignature() async throws {
        let stranger = try TestKey.otherRSA.get()
        try await expectRefusal("signature is wrong") { $0.forge(with: stranger) }
        try await expectRefusal("signature is wrong") { $0.sign = { _ in [] } }
        try await expectRefusal("signature is wrong") { draft in
            let sign = draft.sign
            draft.sign = { bytes in
                var signature = try sign(bytes)
                signature[10] ^= 1
                return signature
            }
        }
    }

    @Test("R7 oidcc-client-test-invalid-sig-es256: a wrong ES256 signature is refused")
    func wrongECSignature() async throws {
        let keys: [JSONValue] = [.object(try TestKey.p256.jwk)]
        try await expectRefusal("signature is wrong", keys: keys) {
            $0.use(.p256)
            $0.forge(with: .otherP256)
        }
        try await expectRefusal("signature is wrong", keys: keys) {
            $0.use(.p256)
            $0.sign = { _ in [UInt8](repeating: 0, count: 64) }
        }
    }

    @Test("R7 oidcc-client-test-invalid-sig-hs256: HMAC is refused, also with the client's secret")
    func hmac() async throws {
        try await expectRefusal("algorithm") {
            $0.header["alg"] = "HS256"
            $0.sign = {
                let key = SymmetricKey(data: Array("s3cret/:+ ü".utf8))
                return Array(HMAC<SHA256>.authenticationCode(for: $0, using: key))
            }
        }
    }

    @Test("R7: an RSA public key used as an HMAC secret is refused")
    func publicKeyAsSecret() async throws {
        guard case .rsa(let key) = try TestKey.rsa.get().material else {
            Issue.record("the test's key is not RSA")
            return
        }
        for secret in [Data(key.publicKey.pemRepresentation.utf8), key.publicKey.derRepresentation] {
            try await expectRefusal("algorithm") {
                $0.header["alg"] = "HS256"
                $0.sign = { Array(HMAC<SHA256>.authenticationCode(for: $0, using: SymmetricKey(data: secret))) }
            }
        }
    }

    @Test("R7: an algorithm that does not go with the key is refused")
    func confusedAlgorithm() async throws {
        try await expectRefusal("no key") { $0.header["alg"] = "ES256" }
        // The key says RS256: a PS256 signature by the same key is not what it is for.
        let pss = try TestKey.rsa.get().renamed(algorithm: "PS256")
        try await expectRefusal("no key") { $0.use(pss) }
        try await expectRefusal("critical") { $0.header["crit"] = ["exp"] }
    }

    @Test("R9 oidcc-client-test-userinfo-invalid-sub: UserInfo about another subject is refused")
    func userInfoSubject() async throws {
        for subject in ["mallory", "", nil] as [JSONValue?] {
            try await TestBench.run {
                $0.userInfo = { $0["sub"] = subject }
            } _: { bench in
                await expectFailure(.invalidResponse, "another subject") {
                    _ = try await bench.logIn(with: bench.relyingParty())
                }
            }
        }
    }

    @Test("R3 R7 oidcc-client-test-nonce-invalid: an ID token with another nonce or none is refused")
    func nonce() async throws {
        try await expectRefusal("nonce") { $0.claims["nonce"] = "another" }
        try await expectRefusal("nonce") { $0.claims["nonce"] = nil }
        try await expectRefusal("nonce") { $0.claims["nonce"] = "" }
    }

    @Test("R7: an at_hash that is not the access token's is refused")
    func accessTokenHash() async throws {
        try await expectRefusal("at_hash") {
            $0.claims["at_hash"] = .string(IDToken.accessTokenHash("access-2", algorithm: .rs256))
        }
        try await expectRefusal("at_hash") { $0.claims["at_hash"] = 1 }
    }

    @Test("oidcc-client-test-scope-userinfo-claims: the claims of the scopes come from UserInfo and win")
    func scopeClaims() async throws {
        try await TestBench.run {
            $0.idToken = {
                $0.claims["name"] = "Old Name"
                $0.claims["locale"] = "de"
                $0.claims["acr"] = "gold"
            }
            $0.userInfo = {
                $0["email_verified"] = true
                $0["address"] = ["country": "DE"]
                $0["acr"] = "forged"
                $0["nonce"] = "x"
                $0["iss"] = "x"
            }
        } _: { bench in
            let party = bench.relyingParty { $0.scopes = ["profile", "email", "address"] }
            let login = try await party.beginLogin()
            #expect(try parameters(of: login.authorizationURL)["scope"] == "openid profile email address")
            let user = try await party.finishLogin(try bench.provider.authorize(login), pending: login.pending).userInfo
            #expect(user.name == "Alice")
            #expect(user["locale"] == "de")
            #expect(user["email_verified"] == true)
            #expect(user["address"] == ["country": "DE"])
            #expect(user["acr"] == "gold")
            #expect(user["nonce"] == nil)
            #expect(user["iss"] == nil)
        }
    }

    @Test("R10 oidcc-client-test-client-secret-basic: ID and secret are form-urlencoded in the header")
    func clientSecretBasic() async throws {
        try await TestBench.run { bench in
            _ = try await bench.logIn(with: bench.relyingParty { $0.clientID = "client" })
            let request = try #require(bench.provider.requests(to: .token).first)
            let header = try #require(request.authorization)
            #expect(header.hasPrefix("Basic "))
            let credentials = try #require(Data(base64Encoded: String(header.dropFirst(6))))
            #expect(String(decoding: credentials, as: UTF8.self) == "client:s3cret%2F%3A%2B%20%C3%BC")
            #expect(request.form["client_secret"] == nil)
            #expect(request.form["client_id"] == nil)
        }
    }

    @Test("R10: client_secret_post and a public client put what they have into the body")
    func otherClientAuthentication() async throws {
        try await TestBench.run { bench in
            _ = try await bench.logIn(with: bench.relyingParty { $0.clientAuthentication = .post })
            _ = try await bench.logIn(
                with: bench.relyingParty {
                    $0.clientSecret = nil
                    $0.clientAuthentication = .none
                })
            let requests = bench.provider.requests(to: .token)
            #expect(requests.map(\.authorization) == [nil, nil])
            #expect(requests.map { $0.form["client_id"] } == ["client", "client"])
            #expect(requests.map { $0.form["client_secret"] } == ["s3cret/:+ ü", nil])
        }
    }

    @Test("oidcc-client-test-userinfo-bearer-header: the access token goes to UserInfo in the header")
    func userInfoBearerHeader() async throws {
        try await TestBench.run { bench in
            _ = try await bench.logIn(with: bench.relyingParty())
            let requests = bench.provider.requests(to: .userInfo)
            #expect(requests.map(\.authorization) == ["Bearer access-1"])
            #expect(requests.map(\.method) == ["GET"])
        }
    }
}
