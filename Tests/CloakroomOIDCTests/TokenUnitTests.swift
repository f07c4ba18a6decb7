import Cloakroom
import Crypto
import CryptoExtras
import Foundation
import JWTKit
import TestSupport
import Testing

@testable import CloakroomOIDC

@Suite("Tokens and keys")
struct TokenUnitTests {
    @Test("R7: at_hash is the left half of the hash that belongs to the algorithm")
    func accessTokenHash() {
        // The example of OpenID Connect Core appendix A.3.
        #expect(
            IDToken.accessTokenHash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", algorithm: .rs256)
                == "77QmUPtjPfzWtF2AnpK9RQ")
        let bytes: [SignatureAlgorithm: Int] = [.es256: 16, .ps384: 24, .rs512: 32, .es512: 32, .edDSA: 32]
        for (algorithm, count) in bytes {
            #expect(Base64URL.decode(IDToken.accessTokenHash("token", algorithm: algorithm))?.count == count)
        }
    }

    @Test("R7: the allow-list has asymmetric algorithms only")
    func allowList() {
        let names = SignatureAlgorithm.allCases.map(\.rawValue)
        #expect(names == ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
        for name in ["none", "HS256", "HS384", "HS512", "ES256K", "rs256", ""] {
            #expect(SignatureAlgorithm(rawValue: name) == nil)
        }
    }

    @Test("R7: an RSA key of 1024 bits is not used")
    func weakKey() throws {
        let weak = TestKey(
            keyID: "w", algorithm: "RS256", material: .rsa(try .init(unsafeKeySize: .init(bitCount: 1024))))
        #expect(VerificationKey(try weak.jwk) == nil)
        #expect(VerificationKey(try TestKey.rsa.get().jwk) != nil)
    }

    @Test("R7: each type of key goes with its own algorithms alone")
    func keyTypes() throws {
        let rsa = try TestKey.rsa.get()
        let expected: [(TestKey, Set<SignatureAlgorithm>)] = [
            (rsa, [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]), (.p256, [.es256]), (.p384, [.es384]),
            (.p521, [.es512]), (.ed25519, [.edDSA]),
        ]
        for (key, algorithms) in expected {
            let undeclared = try #require(VerificationKey(try key.jwk(with: ["alg": nil])))
            #expect(Set(SignatureAlgorithm.allCases.filter { undeclared.fits($0) }) == algorithms)
            let declared = try #require(VerificationKey(try key.jwk))
            #expect(SignatureAlgorithm.allCases.filter { declared.fits($0) }.map(\.rawValue) == [key.algorithm])
        }
    }

    @Test("R7: tokens that another library signed are accepted")
    func crossCheck() async throws {
        struct Payload: JWTPayload {
            let sub: String
            func verify(using algorithm: some JWTAlgorithm) async throws {}
        }
        guard case .rsa(let rsa) = try TestKey.rsa.get().material, case .p256(let p256) = TestKey.p256.material,
            case .ed25519(let ed25519) = TestKey.ed25519.material
        else {
            Issue.record("the test's keys are of other types")
            return
        }
        let signers = JWTKeyCollection()
        let rsaKey = try Insecure.RSA.PrivateKey(backing: rsa)
        await signers.add(rsa: rsaKey, digestAlgorithm: .sha256, kid: "RS256")
        await signers.add(pss: rsaKey, digestAlgorithm: .sha512, kid: "PS512")
        await signers.add(ecdsa: try ES256PrivateKey(backing: p256), kid: "ES256")
        await signers.add(eddsa: EdDSA.PrivateKey(backing: ed25519), kid: "EdDSA")
        let keys: [(String, TestKey)] = [
            ("RS256", try TestKey.rsa.get()), ("PS512", try TestKey.rsa.get()), ("ES256", .p256), ("EdDSA", .ed25519),
        ]
        for (name, key) in keys {
            let text = try await signers.sign(Payload(sub: "alice"), kid: JWKIdentifier(string: name))
            let token = try SignedToken(text)
            #expect(token.algorithm.rawValue == name)
            #expect(token.keyID == name)
            #expect(token.claims["sub"] == "alice")
            let verification = try #require(VerificationKey(try key.jwk(with: ["alg": nil])))
            #expect(token.isSigned(byOneOf: [verification]))
            let other = try #require(VerificationKey(try TestKey.otherRSA.get().jwk(with: ["alg": nil])))
            #expect(!token.isSigned(byOneOf: [other]))
        }
    }

    @Test("https is required but for the machine itself, an http issuer, or the host of an http discovery URL")
    func endpointPolicy() throws {
        func policy(_ issuer: String, discovery: String? = nil) -> EndpointPolicy {
            EndpointPolicy(
                OIDCConfiguration(
                    issuer: issuer, clientID: "c", clientSecret: nil, redirectURI: "https://a/", discoveryURL: discovery
                ))
        }
        func accepts(_ policy: EndpointPolicy, _ url: String) -> Bool {
            (try? policy.check(url, name: "endpoint")) != nil
        }
        let strict = policy("https://login.example.com")
        for url in ["https://login.example.com/x", "http://localhost:8080/x", "http://127.0.0.1/x", "http://[::1]:9/x"]
        {
            #expect(accepts(strict, url), "\(url)")
        }
        for url in [
            "http://login.example.com/x", "http://127.0.0.1.evil.com/x", "http://127.evil.com/x", "ws://localhost/x",
            "https://user@login.example.com/", "https://login.example.com/#f", "https:///x", "https://a/\u{7}",
            "https://a\\@b/", "https://a/" + String(repeating: "x", count: 2048),
        ] {
            #expect(!accepts(strict, url), "\(url)")
        }
        #expect(accepts(policy("http://keycloak:8080/realms/main"), "http://keycloak:8080/x"))
        let split = policy("https://login.example.com", discovery: "http://keycloak:8080/d")
        #expect(accepts(split, "http://keycloak:8080/token"))
        #expect(!accepts(split, "http://elsewhere:8080/token"))
    }

    @Test("The discovery document is below the issuer, whose final slash is left out (Discovery §4.1)")
    func metadataURL() {
        for issuer in ["https://a.example.com/realms/x", "https://a.example.com/realms/x/"] {
            let configuration = OIDCConfiguration(
                issuer: issuer, clientID: "c", clientSecret: nil, redirectURI: "https://b/")
            #expect(configuration.metadataURL == "https://a.example.com/realms/x/.well-known/openid-configuration")
        }
    }

    @Test("An http issuer on another machine is warned of once, one on this machine never")
    func plainWarning() async throws {
        try await TestBench.run { bench in
            for (issuer, warnings) in [("http://idp.example.com", 1), (bench.provider.issuer, 0)] {
                let log = RecordingLog()
                var timing = CacheTiming()
                timing.lifetime = .zero
                bench.provider.change { $0.metadata["issuer"] = .string(issuer) }
                let party = bench.relyingParty(
                    timing: timing,
                    configure: {
                        $0.issuer = issuer
                        $0.discoveryURL = bench.provider.issuer + ScriptedProvider.Endpoint.metadata.rawValue
                    }, logger: log.logger)
                for _ in 0..<3 { _ = try await party.beginLogin() }
                #expect(log.text.split(separator: "\n").count { $0.hasPrefix("warning") } == warnings)
            }
        }
    }
}
