import Cloakroom
import Crypto
import CryptoExtras
import Foundation
import Testing

@testable import CloakroomOIDC

@Suite("R10: the client's own keys")
struct ClientKeyTests {
    @Test("A key's name is its thumbprint: the examples of RFC 7638 §3.1 and RFC 8037 appendix A.3")
    func thumbprint() {
        let modulus =
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjh"
            + "Mstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvR"
            + "L5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
        #expect(
            ClientKey.thumbprint(["kty": "RSA", "n": .string(modulus), "e": "AQAB"])
                == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
        #expect(
            ClientKey.thumbprint(
                ["kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"])
                == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    }

    @Test("What is made can be read, and signs what its public half verifies", arguments: ClientKey.Algorithm.allCases)
    func roundTrip(algorithm: ClientKey.Algorithm) throws {
        let made = try ClientKey.generate(algorithm)
        let read = try #require(try ClientKey.read(made.pem).first)
        #expect(read.keyID == made.keyID && read.algorithm == algorithm)
        #expect(read.publicKey == made.publicKey && read.subjectPublicKeyInfo == made.subjectPublicKeyInfo)
        #expect(read.publicKey["kid"]?.string == read.keyID && read.publicKey["use"] == "sig")
        let names = Set(read.publicKey.members.map(\.name))
        #expect(names.isDisjoint(with: ["d", "p", "q", "dp", "dq", "qi", "k"]))
        let bytes = Array("signed".utf8)
        let verification = try #require(VerificationKey(read.publicKey))
        let signature = try read.signature(of: bytes, algorithm)
        let name = try #require(SignatureAlgorithm(rawValue: algorithm.rawValue))
        #expect(verification.isValid(signature, of: bytes, algorithm: name))
        #expect(!verification.isValid(signature, of: bytes + [0], algorithm: name))
    }

    @Test("An RSA key of somebody else signs with what the provider accepts, RS256 before PS256")
    func undeclared() throws {
        let key = try #require(
            try ClientKey.read(try _RSA.Signing.PrivateKey(keySize: .bits2048).pemRepresentation).first)
        #expect(key.algorithm == nil && key.publicKey["alg"] == nil)
        let cases: [([String]?, ClientKey.Algorithm)] = [
            (nil, .rs256), ([], .rs256), (["ES256"], .rs256), (["PS256", "RS256"], .rs256),
            (["ES256", "PS256"], .ps256),
        ]
        for (accepted, expected) in cases { #expect(key.algorithm(acceptedBy: accepted) == expected) }
        let declared = try #require(try ClientKey.read("Algorithm: PS256\n\(key.pem)").first)
        #expect(declared.algorithm == .ps256 && declared.keyID == key.keyID)
        #expect(declared.algorithm(acceptedBy: ["RS256"]) == .ps256)
    }

    @Test("Several keys: the first signs; other blocks and texts between are passed over")
    func several() throws {
        let (first, second) = (try ClientKey.generate(.es256), try ClientKey.generate(.edDSA))
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        let text = "old key\r\n\(certificate)\(first.pem)\n\nnew key\n\(second.pem)\(certificate)"
        #expect(try ClientKey.read(text).map(\.keyID) == [first.keyID, second.keyID])
        var values = ClientCredentials.Values()
        values.keys = [first, second]
        let set = ClientCredentials(values).publicKeys["keys"]?.array?.compactMap(\.object)
        #expect(set == [first.publicKey, second.publicKey])
    }

    @Test("What can't be used is refused, in words without the key")
    func refusals() throws {
        let p256 = P256.Signing.PrivateKey().pemRepresentation
        let weak = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024)).pkcs8PEMRepresentation
        let many = try (0..<9).map { _ in try ClientKey.generate(.es256).pem }.joined()
        let body = String(repeating: "QUJD", count: 16)
        let cases: [(String, String)] = [
            ("", "no private key"), ("-----BEGIN PRIVATE KEY-----\n\(body)", "no private key"),
            ("-----BEGIN CERTIFICATE-----\n\(body)\n-----END CERTIFICATE-----", "no private key"),
            ("-----BEGIN PRIVATE KEY-----\n\(body)\n-----END PRIVATE KEY-----", "neither RSA"),
            ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "neither RSA"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n\(body)\n-----END ENCRYPTED PRIVATE KEY-----", "encrypted"),
            (P384.Signing.PrivateKey().pemRepresentation, "neither RSA"),
            (Curve25519.KeyAgreement.PrivateKey().pemRepresentation, "neither RSA"), (weak, "neither RSA"),
            (p256 + "\n" + p256, "twice"), (many, "more than 8"), ("Algorithm: HS256\n" + p256, "something else than"),
            ("Algorithm: RS256\n" + p256, "can't sign with it"),
        ]
        for (text, words) in cases {
            let error = #expect(throws: ClientCredentialsError.self) { try ClientKey.read(text) }
            #expect(error?.reason.contains(words) == true, "\(error?.reason ?? "none")")
            #expect(error?.reason.contains(body) == false)
        }
    }

    @Test("R46: no secret shows in descriptions")
    func redaction() throws {
        let key = try ClientKey.generate(.es256)
        var values = ClientCredentials.Values()
        values.secret = "hunter2"
        values.assertion = "hunter2"
        values.keys = [key]
        var text = "\(values)\(key)\(ClientCredentials(values))"
        dump((values, key, ClientCredentials(values)), to: &text)
        #expect(!text.contains("hunter2") && text.contains(key.keyID))
        let line = key.pem.split(separator: "\n")[1]
        #expect(!text.contains(line))
    }
}

@Suite("The line before pushed requests")
struct PushLineTests {
    @Test("So many are through at once; others wait their turn, and leave when it takes too long")
    func places() async {
        let line = PushLine(places: 2, waiting: 2)
        #expect(await line.enter(nil, within: .seconds(30)))
        #expect(await line.enter(nil, within: .seconds(30)))
        #expect(await !line.enter(nil, within: .milliseconds(20)))
        let third = Task { await line.enter(nil, within: .seconds(30)) }
        line.leave(nil)
        #expect(await third.value)
        line.leave(nil)
        line.leave(nil)
        #expect(await line.enter(nil, within: .seconds(30)))
    }

    @Test("Where nobody may wait, who finds no place is turned away at once")
    func full() async {
        let line = PushLine(places: 1, waiting: 0)
        #expect(await line.enter(nil, within: .seconds(30)))
        let start = ContinuousClock.now
        #expect(await !line.enter(nil, within: .seconds(30)))
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test("A thousand callers all get through, two at a time")
    func crowd() async {
        let line = PushLine(places: 2, waiting: 1000)
        let inside = Shared((now: 0, most: 0))
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<1000 {
                group.addTask {
                    guard await line.enter(nil, within: .seconds(60)) else { return false }
                    inside.withLock {
                        $0.now += 1
                        $0.most = max($0.most, $0.now)
                    }
                    await Task.yield()
                    inside.withLock { $0.now -= 1 }
                    line.leave(nil)
                    return true
                }
            }
            for await isThrough in group { #expect(isThrough) }
        }
        #expect(inside.withLock { $0.most } <= 2)
    }

    @Test("R50: a client that fills the line keeps no other waiting, and loses its own last ones to them")
    func fairness() async throws {
        let line = PushLine(places: 1, waiting: 8)
        #expect(await line.enter("greedy", within: .seconds(30)))
        let refused = Shared(0)
        let crowd = (0..<8).map { _ in
            Task {
                guard await line.enter("greedy", within: .seconds(30)) else { return refused.withLock { $0 += 1 } }
                line.leave("greedy")
            }
        }
        try await until { line.waitingCount == 8 }
        let start = ContinuousClock.now
        #expect(await !line.enter("greedy", within: .seconds(30)), "its own line is full")
        #expect(ContinuousClock.now - start < .seconds(5))
        let order = Shared<[String]>([])
        let others = ["one", "two"].map { name in
            Task {
                let isThrough = await line.enter(name, within: .seconds(30))
                order.withLock { $0.append(name) }
                if isThrough { line.leave(name) }
                return isThrough
            }
        }
        try await until { refused.withLock { $0 } == 2 && line.waitingCount == 8 }
        #expect(order.withLock { $0.isEmpty })
        line.leave("greedy")
        for other in others { #expect(await other.value) }
        for task in crowd { await task.value }
        #expect(refused.withLock { $0 } == 2)
        #expect(await line.enter("one", within: .zero), "all places were given back")
    }

    private func until(_ condition: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while !condition() {
            try #require(ContinuousClock.now < deadline)
            try await Task.sleep(for: .milliseconds(1))
        }
    }
}
