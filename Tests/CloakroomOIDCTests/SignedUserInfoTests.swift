import Cloakroom
import Foundation
import Testing

@testable import CloakroomOIDC

@Suite("UserInfo as a signed JWT, and what is encrypted")
struct SignedUserInfoTests {
    /// Logs in at a provider whose UserInfo is a JWT.
    private func logIn(
        _ change: (inout TokenDraft) -> Void = { _ in }, encoded: (String) -> String = { $0 }
    ) async throws -> LoginResult {
        var result: LoginResult?
        try await TestBench.run { bench in
            let key = try TestKey.rsa.get()
            let claims: JSONObject = [
                "iss": .string(bench.provider.issuer), "aud": "client", "sub": "alice", "name": "Signed Alice",
            ]
            var draft = TokenDraft(claims: claims, key: key)
            change(&draft)
            let text = encoded(try draft.encoded())
            bench.provider.change {
                $0.replies[.userInfo] = .body(status: 200, type: "application/jwt; charset=utf-8", text: text)
            }
            result = try await bench.logIn(with: bench.relyingParty())
        }
        return try #require(result)
    }

    @Test("R9: its signature, issuer and audience are checked; its claims are the user's")
    func accepted() async throws {
        let result = try await logIn()
        #expect(result.userInfo.subject == "alice" && result.userInfo.name == "Signed Alice")
        #expect(result.userInfo["aud"] == nil && result.userInfo["iss"] == nil)
        #expect(try await logIn { $0.claims["aud"] = ["other", "client"] }.userInfo.name == "Signed Alice")
        let end = Int(Date().timeIntervalSince1970) + 60
        #expect(try await logIn { $0.claims["exp"] = .number("\(end)") }.userInfo.name == "Signed Alice")
    }

    @Test("R9: one that is wrong in any way ends the login")
    func refused() async throws {
        let other = try TestKey.otherRSA.get()
        let unknown = try TestKey.otherRSA.get().renamed(keyID: "rsa-1")
        let cases: [(String, (inout TokenDraft) -> Void)] = [
            ("no key of the provider", { $0.use(other) }), ("signature is wrong", { $0.use(unknown) }),
            ("algorithm", { $0.header["alg"] = "none" }), ("algorithm", { $0.header["alg"] = "HS256" }),
            ("issuer", { $0.claims["iss"] = "https://evil.example" }), ("issuer", { $0.claims["iss"] = nil }),
            ("not for this client", { $0.claims["aud"] = "other" }), ("audience", { $0.claims["aud"] = nil }),
            ("another subject", { $0.claims["sub"] = "mallory" }), ("another subject", { $0.claims["sub"] = nil }),
            ("expired", { $0.claims["exp"] = 1_000_000_000 }),
        ]
        for (words, change) in cases {
            await expectFailure(.invalidResponse, words) { _ = try await logIn(change) }
        }
        await expectFailure(.invalidResponse, "signature is wrong") {
            _ = try await logIn(encoded: { String($0.dropLast(4)) + "AAAA" })
        }
    }

    @Test("What is encrypted says what to turn off, be it UserInfo or ID token")
    func encrypted() async throws {
        let text = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AAAA.AAAA.AAAA.AAAA"
        await expectFailure(.invalidResponse, "turn encryption off") { _ = try await logIn(encoded: { _ in text }) }
        try await TestBench.run {
            $0.tokens = { $0["id_token"] = .string(text) }
        } _: { bench in
            await expectFailure(.invalidIDToken, "turn encryption off") {
                _ = try await bench.logIn(with: bench.relyingParty())
            }
        }
    }
}
