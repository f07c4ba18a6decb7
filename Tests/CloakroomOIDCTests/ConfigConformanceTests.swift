import Cloakroom
import Logging
import Synchronization
import Testing

@testable import CloakroomOIDC

/// The modules of the OpenID Foundation's relying-party plan for configuration, re-created.
@Suite("Conformance, configuration")
struct ConfigConformanceTests {
    @Test("R6 oidcc-client-test-discovery-openid-config: endpoints come from the discovery document, fetched once")
    func discovery() async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty()
            #expect(bench.provider.requests(to: .metadata).isEmpty)
            let login = try await party.beginLogin()
            #expect(login.authorizationURL.hasPrefix(bench.provider.issuer + "/authorize?"))
            for _ in 0..<3 { _ = try await bench.logIn(with: party) }
            #expect(bench.provider.requests(to: .metadata).count == 1)
        }
    }

    @Test("oidcc-client-test-discovery-jwks-uri-keys: keys come from jwks_uri, fetched once")
    func keys() async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty()
            try await party.warmUp()
            for _ in 0..<3 { _ = try await bench.logIn(with: party) }
            #expect(bench.provider.requests(to: .keys).count == 1)
        }
    }

    @Test("R6 oidcc-client-test-discovery-issuer-mismatch: metadata of another issuer is refused")
    func issuerMismatch() async throws {
        try await TestBench.run { bench in
            for issuer in [.string(bench.provider.issuer + "/"), "https://evil.example.com", nil] as [JSONValue?] {
                bench.provider.change { $0.metadata["issuer"] = .some(issuer) }
                await expectFailure(.invalidResponse, "issuer") { _ = try await bench.relyingParty().beginLogin() }
            }
        }
    }

    @Test("R8 oidcc-client-test-signing-key-rotation: a new key is found without a restart, by one fetch")
    func rotation() async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty()
            _ = try await bench.logIn(with: party)
            let key = try TestKey.otherRSA.get()
            let jwk = try key.jwk
            bench.provider.change {
                $0.keys.append(.object(jwk))
                $0.signingKey = key
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { _ = try await bench.logIn(with: party) } }
                try await group.waitForAll()
            }
            #expect(bench.provider.requests(to: .keys).count == 2)
        }
    }

    @Test("R8 oidcc-client-test-signing-key-rotation-just-before-signing: keys changed after they were fetched")
    func rotationJustBeforeSigning() async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty()
            let login = try await party.beginLogin()
            try await party.warmUp()
            let callback = try bench.provider.authorize(login)
            let jwk = try TestKey.p256.jwk
            bench.provider.change {
                $0.keys = [.object(jwk)]
                $0.signingKey = .p256
            }
            #expect(try await party.finishLogin(callback, pending: login.pending).userInfo.subject == "alice")
        }
    }

    @Test("R8: a changed single key is found when tokens carry no key ID")
    func rotationWithoutKeyID() async throws {
        let (old, new) = (try TestKey.rsa.get(), try TestKey.otherRSA.get())
        let (oldJWK, newJWK) = (try old.jwk(with: ["kid": nil]), try new.jwk(with: ["kid": nil]))
        try await TestBench.run {
            $0.keys = [.object(oldJWK)]
            $0.idToken = { $0.header["kid"] = nil }
        } _: { bench in
            let party = bench.relyingParty()
            _ = try await bench.logIn(with: party)
            bench.provider.change {
                $0.keys = [.object(newJWK)]
                $0.signingKey = new
            }
            #expect(try await bench.logIn(with: party).userInfo.subject == "alice")
        }
    }

    @Test("R8: tokens with unknown key IDs fetch the keys once in a while, not each time")
    func refetchIsLimited() async throws {
        try await TestBench.run {
            $0.idToken = { $0.header["kid"] = "unknown" }
        } _: { bench in
            let party = bench.relyingParty()
            for _ in 0..<5 {
                await expectFailure(.invalidIDToken, "no key") { _ = try await bench.logIn(with: party) }
            }
            #expect(bench.provider.requests(to: .keys).count == 2)
        }
    }

    @Test("R7: unparseable, unknown, weak and unfit members of the key set do not fail it")
    func unusableKeys() async throws {
        let key = try TestKey.rsa.get()
        let jwk = try key.jwk
        let strange: [JSONValue] = [
            "not an object", 7, .null, [], [:], ["kty": "lattice", "kid": "rsa-1"],
            ["kty": "RSA", "kid": "rsa-1", "n": "***", "e": "AQAB"],
            ["kty": "RSA", "kid": "rsa-1", "n": "AQAB", "e": "AQAB"],
            ["kty": "RSA", "kid": "rsa-1"], ["kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "rsa-1"],
            ["kty": "oct", "kid": "rsa-1", "k": "c2VjcmV0"], ["kty": "OKP", "crv": "X25519", "x": "AA"],
            .object(try key.jwk(with: ["kid": 1])), .object(try key.jwk(with: ["use": "enc"])),
            .object(try key.jwk(with: ["key_ops": ["encrypt"]])), .object(try key.jwk(with: ["alg": "RSA-OAEP"])),
        ]
        try await TestBench.run {
            $0.keys = strange + [.object(jwk)]
        } _: { bench in
            let result = try await bench.logIn(with: bench.relyingParty())
            #expect(result.userInfo.subject == "alice")
        }
        for member in strange { #expect(member.object.flatMap { VerificationKey($0) } == nil, "\(member)") }
    }

    @Test("Endpoints that are missing, malformed or not https are refused")
    func unfitEndpoints() async throws {
        try await TestBench.run { bench in
            for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
                for value in [nil, 1, "", "/relative", "ftp://127.0.0.1/x", "http://127.0.0.1/a b", "https://u:p@h/"]
                    as [JSONValue?]
                {
                    bench.provider.change { $0.metadata = [name: value] }
                    await expectFailure(.invalidResponse, name) { _ = try await bench.relyingParty().beginLogin() }
                }
            }
        }
    }

    @Test("An internal discovery URL with a public issuer: its endpoints are used as they stand")
    func internalDiscovery() async throws {
        try await TestBench.run { bench in
            let internalURL = bench.provider.issuer + ScriptedProvider.Endpoint.metadata.rawValue
            bench.provider.change {
                $0.metadata = [
                    "issuer": "https://login.example.com/realms/main",
                    "authorization_endpoint": "https://login.example.com/authorize",
                ]
                $0.idToken = { $0.claims["iss"] = "https://login.example.com/realms/main" }
            }
            let party = bench.relyingParty {
                $0.issuer = "https://login.example.com/realms/main"
                $0.discoveryURL = internalURL
            }
            let login = try await party.beginLogin()
            #expect(login.authorizationURL.hasPrefix("https://login.example.com/authorize?"))
            let result = try await party.finishLogin(try bench.provider.authorize(login), pending: login.pending)
            #expect(result.userInfo.subject == "alice")
        }
    }

    @Test("Callers at the same time share one fetch")
    func singleFlight() async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<32 { group.addTask { try await party.warmUp() } }
                try await group.waitForAll()
            }
            #expect(bench.provider.requests(to: .metadata).count == 1)
            #expect(bench.provider.requests(to: .keys).count == 1)
        }
    }

    @Test("R52: a stale copy stays in use while the provider fails, and a failing fetch is not tried for each request")
    func staleCopy() async throws {
        try await TestBench.run { bench in
            var timing = CacheTiming()
            timing.lifetime = .zero
            timing.pauseAfterFailure = .seconds(3600)
            let party = bench.relyingParty(timing: timing)
            try await party.warmUp()
            bench.provider.change { $0.replies[.metadata] = .json(503, ["error": "down"]) }
            let before = bench.provider.requests(to: .metadata).count
            for _ in 0..<5 { _ = try await party.beginLogin() }
            #expect(bench.provider.requests(to: .metadata).count == before + 1)
        }
    }

    @Test("R52: a provider that is down at first is found when it comes up, after a short pause")
    func recovery() async throws {
        try await TestBench.run {
            $0.replies[.metadata] = .body(status: 502, type: "text/html", text: "<h1>Bad Gateway</h1>")
        } _: { bench in
            var timing = CacheTiming()
            timing.pauseAfterFailure = .seconds(3600)
            let patient = bench.relyingParty(timing: timing)
            for _ in 0..<5 {
                await expectFailure(.providerUnavailable, "502") { _ = try await patient.beginLogin() }
            }
            #expect(bench.provider.requests(to: .metadata).count == 1)
            timing.pauseAfterFailure = .zero
            let eager = bench.relyingParty(timing: timing)
            await expectFailure(.providerUnavailable, "502") { try await eager.warmUp() }
            bench.provider.change { $0.replies = [:] }
            try await eager.warmUp()
        }
    }
}
