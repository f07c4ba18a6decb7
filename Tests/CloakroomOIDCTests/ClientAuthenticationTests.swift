import Cloakroom
import Foundation
import Testing

@testable import CloakroomOIDC

@Suite("R10: client authentication without a secret")
struct ClientAuthenticationTests {
    private static let type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

    private static func credentials(_ change: (inout ClientCredentials.Values) -> Void) -> ClientCredentials {
        var values = ClientCredentials.Values()
        change(&values)
        return ClientCredentials(values)
    }

    /// A JWT of somebody else, such as a Kubernetes token.
    private static func token(_ id: String, expires: TimeInterval = 600) throws -> String {
        let end = Int(Date().timeIntervalSince1970 + expires)
        let claims: JSONObject = ["iss": "https://cluster.example", "jti": .string(id), "exp": .number("\(end)")]
        return try TokenDraft(claims: claims, key: .p256).encoded()
    }

    /// The header and the claims of an assertion, after its signature was found to be this key's.
    private static func open(
        _ form: [String: String], _ key: ClientKey
    ) async throws -> (header: JSONObject, claims: JSONObject) {
        #expect(form["client_assertion_type"] == type)
        let text = try #require(form["client_assertion"])
        let verification = try #require(VerificationKey(key.publicKey))
        let token = try SignedToken(text)
        #expect(token.isSigned(byOneOf: [verification]) && token.keyID == key.keyID)
        let head = try #require(text.split(separator: ".").first.flatMap { Base64URL.decode($0) })
        return (try #require(try JSONValue(parsing: head).object), token.claims)
    }

    @Test(
        "private_key_jwt: signed for the token endpoint, good for a minute, used once", arguments: ["RS256", "EdDSA"])
    func privateKey(name: String) async throws {
        let key = try ClientKey.generate(try #require(ClientKey.Algorithm(rawValue: name)))
        try await TestBench.run { bench in
            let party = bench.relyingParty {
                $0.clientSecret = nil
                $0.clientAuthentication = .privateKeyJWT
                $0.credentials = Self.credentials { $0.keys = [key] }
            }
            let began = Int(Date().timeIntervalSince1970)
            let result = try await bench.logIn(with: party)
            _ = try await party.refresh(bench.session(of: result))
            let requests = bench.provider.requests(to: .token)
            #expect(requests.count == 2 && requests.map(\.authorization) == [nil, nil])
            var ids: Set<String> = []
            for request in requests {
                #expect(request.form["client_id"] == "client" && request.form["client_secret"] == nil)
                let (header, claims) = try await Self.open(request.form, key)
                #expect(header == ["alg": .string(name), "typ": "JWT", "kid": .string(key.keyID)])
                #expect(claims["iss"] == "client" && claims["sub"] == "client")
                #expect(claims["aud"]?.string == bench.provider.issuer + "/token")
                let (issued, end) = (try #require(claims["iat"]?.double), try #require(claims["exp"]?.double))
                #expect(end - issued == 60 && issued >= Double(began))
                ids.insert(try #require(claims["jti"]?.string))
            }
            #expect(ids.count == 2 && ids.allSatisfy { $0.count >= 22 })
            #expect(party.clientKeys["keys"]?.array?.count == 1)
        }
    }

    @Test("private_key_jwt: the issuer as audience, and the algorithm that the provider accepts")
    func audienceAndAlgorithm() async throws {
        let made = try ClientKey.generate(.rs256)
        // As another program has made it: without a word on what it signs with.
        let pem = made.pem.split(separator: "\n").dropFirst().joined(separator: "\n")
        let key = try #require(try ClientKey.read(pem).first)
        try await TestBench.run {
            $0.metadata["token_endpoint_auth_signing_alg_values_supported"] = ["PS256", "ES256"]
        } _: { bench in
            let party = bench.relyingParty {
                $0.clientAuthentication = .privateKeyJWT
                $0.assertionAudience = .issuer
                $0.credentials = Self.credentials { $0.keys = [key] }
            }
            _ = try await bench.logIn(with: party)
            let form = try #require(bench.provider.requests(to: .token).first?.form)
            let (header, claims) = try await Self.open(form, key)
            #expect(header["alg"] == "PS256" && claims["aud"]?.string == bench.provider.issuer)
        }
    }

    @Test("R54: keys, assertions and secrets that are replaced count from the next request on")
    func replaced() async throws {
        let (old, new) = (try ClientKey.generate(.es256), try ClientKey.generate(.es256))
        try await TestBench.run { bench in
            let credentials = Self.credentials { $0.keys = [old, new] }
            let party = bench.relyingParty {
                $0.clientAuthentication = .privateKeyJWT
                $0.credentials = credentials
            }
            _ = try await bench.logIn(with: party)
            credentials.replace(with: Self.credentials { $0.keys = [new] }.current)
            _ = try await bench.logIn(with: party)
            let requests = bench.provider.requests(to: .token)
            _ = try await Self.open(requests[0].form, old)
            _ = try await Self.open(requests[1].form, new)
            #expect(party.clientKeys["keys"]?.array?.compactMap(\.object) == [new.publicKey])

            let secret = Self.credentials { $0.secret = "first" }
            let other = bench.relyingParty {
                $0.clientAuthentication = .post
                $0.credentials = secret
            }
            _ = try await bench.logIn(with: other)
            secret.replace(with: Self.credentials { $0.secret = "second" }.current)
            _ = try await bench.logIn(with: other)
            let secrets = bench.provider.requests(to: .token).suffix(2).map { $0.form["client_secret"] }
            #expect(secrets == ["first", "second"])
        }
    }

    @Test("An assertion of somebody else goes as it is; one that has ended goes nowhere")
    func assertion() async throws {
        let (first, second) = (try Self.token("1"), try Self.token("2"))
        try await TestBench.run { bench in
            let credentials = Self.credentials { $0.assertion = first }
            let party = bench.relyingParty {
                $0.clientSecret = nil
                $0.clientAuthentication = .assertion
                $0.credentials = credentials
            }
            _ = try await bench.logIn(with: party)
            credentials.replace(with: Self.credentials { $0.assertion = second }.current)
            let login = try await bench.logIn(with: party)
            let requests = bench.provider.requests(to: .token)
            #expect(requests.map { $0.form["client_assertion"] } == [first, second])
            #expect(requests.allSatisfy { $0.form["client_assertion_type"] == Self.type && $0.authorization == nil })
            #expect(requests.allSatisfy { $0.form["client_id"] == "client" })

            let ended = try Self.token("3", expires: -1)
            credentials.replace(with: Self.credentials { $0.assertion = ended }.current)
            await expectFailure(.clientRejected, "has expired") {
                _ = try await party.refresh(bench.session(of: login))
            }
            credentials.replace(with: ClientCredentials.Values())
            await expectFailure(.clientRejected, "no assertion") {
                _ = try await party.refresh(bench.session(of: login))
            }
            #expect(bench.provider.requests(to: .token).count == 2)
        }
    }

    @Test("What is no signed JWT is no assertion")
    func assertionForms() throws {
        let token = try Self.token("1")
        #expect(try ClientCredentials.assertion("\(token)\n") == token)
        let long = "a." + String(repeating: "a", count: 20_000) + ".a"
        for text in ["", "a.b", "a.b.c", "\(token) \(token)", "a.b.c.d.e", long, "é.é.é", "..", "\(token)\u{0}"] {
            #expect(throws: ClientCredentialsError.self, "\(text.prefix(20))") { try ClientCredentials.assertion(text) }
        }
    }

    @Test("A certificate must be one, and a key its own; without one nothing goes elsewhere")
    func certificates() async throws {
        for text in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = #expect(throws: ClientCredentialsError.self) {
                try ClientCertificate(certificates: text, key: nil)
            }
            #expect(error?.reason == "holds no certificate in PEM")
        }
        try await TestBench.run {
            $0.metadata["mtls_endpoint_aliases"] = ["token_endpoint": "ftp://nonsense", "userinfo_endpoint": 1]
        } _: { bench in
            _ = try await bench.logIn(with: bench.relyingParty())
        }
    }
}
