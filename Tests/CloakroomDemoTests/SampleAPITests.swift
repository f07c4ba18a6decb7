import AsyncHTTPClient
import Crypto
import DevIdentityProvider
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Testing

@testable import CloakroomDemo

@Suite("Demo: the sample API")
struct SampleAPITests {
    private static let callback = "http://localhost:9999/auth/callback"

    private func withParts(
        audience: String = DemoPlan.sampleAPIAudience, test: (_ issuer: String, _ api: String) async throws -> Void
    ) async throws {
        try await withService { onServerRunning in
            var configuration = DevIdentityProvider.Configuration(
                port: 0, clients: [.init(id: "app", secret: nil, redirectURIs: [Self.callback])])
            configuration.accessTokenAudience = audience
            return try DevIdentityProvider(
                configuration: configuration, logger: quietLogger, onServerRunning: onServerRunning)
        } test: { identityPort in
            let issuer = "http://localhost:\(identityPort)"
            try await withService { onServerRunning in
                SampleAPI(
                    port: 0, issuer: issuer, audience: DemoPlan.sampleAPIAudience, logger: quietLogger,
                    onServerRunning: onServerRunning)
            } test: { apiPort in
                try await test(issuer, "http://127.0.0.1:\(apiPort)")
            }
        }
    }

    private func form(_ pairs: [String: String]) -> HTTPClientRequest.Body {
        let text = pairs.map { name, value in
            "\(name)=\(value.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")"
        }
        return .bytes(ByteBuffer(string: text.joined(separator: "&")))
    }

    /// Logs admin in by the form, as a browser and an application would.
    private func tokens(_ issuer: String) async throws -> [String: any Sendable] {
        let verifier = String(repeating: "v", count: 43)
        let challenge = Data(SHA256.hash(data: Data(verifier.utf8))).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        let query = "response_type=code&client_id=app&scope=openid%20profile&redirect_uri=\(Self.callback)"
        let page = try await fetch(
            "\(issuer)/authorize?\(query)&code_challenge_method=S256&code_challenge=\(challenge)")
        func hidden(_ name: String) throws -> String {
            let start = try #require(page.body.range(of: "name=\"\(name)\" value=\""))
            return String(page.body[start.upperBound...].prefix { $0 != "\"" }).replacing("&amp;", with: "&")
        }
        let type = ["content-type": "application/x-www-form-urlencoded"]
        let cookie = try #require(page.headers.first(name: "set-cookie")).prefix { $0 != ";" }
        let answer = try await fetch(
            "\(issuer)/login", method: .POST, headers: .init(type.map { $0 } + [("cookie", String(cookie))]),
            body: form([
                "request": try hidden("request"), "csrf": try hidden("csrf"), "username": "admin", "password": "test",
            ]))
        let location = try #require(answer.headers.first(name: "location").flatMap(URLComponents.init(string:)))
        let code = try #require(location.queryItems?.first { $0.name == "code" }?.value)
        let token = try await fetch(
            "\(issuer)/token", method: .POST, headers: .init(type.map { $0 }),
            body: form([
                "grant_type": "authorization_code", "client_id": "app", "code": code, "redirect_uri": Self.callback,
                "code_verifier": verifier,
            ]))
        return try #require(
            try JSONSerialization.jsonObject(with: Data(token.body.utf8)) as? [String: any Sendable])
    }

    @Test("Anybody may say hello; who am I is for the bearer of the provider's access token")
    func whoami() async throws {
        try await withParts { issuer, api in
            #expect(try await fetch("\(api)/api/hello").status == 200)
            let tokens = try await tokens(issuer)
            let access = try #require(tokens["access_token"] as? String)
            let answer = try await fetch("\(api)/api/whoami", headers: ["authorization": "Bearer \(access)"])
            #expect(answer.status == 200)
            let caller = try #require(
                try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: any Sendable])
            #expect(caller["username"] as? String == "admin")
            #expect((caller["roles"] as? [String])?.contains("admin") == true)
            #expect(caller["client"] as? String == "app")

            let id = try #require(tokens["id_token"] as? String)
            let parts = access.split(separator: ".")
            let none = "eyJhbGciOiJub25lIiwia2lkIjoieCJ9.\(parts[1])."
            let unknownKey = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.\(parts[1]).\(parts[2])"
            for wrong in [
                id, none, unknownKey, String(access.dropLast(8)) + "AAAAAAAA", "x", "", "..",
                String(repeating: "a", count: 20_000),
            ] {
                let answer = try await fetch("\(api)/api/whoami", headers: ["authorization": "Bearer \(wrong)"])
                #expect(answer.status == 401)
            }
            #expect(try await fetch("\(api)/api/whoami").status == 401)
        }
    }

    @Test("A token for another API is refused")
    func otherAudience() async throws {
        try await withParts(audience: "another-api") { issuer, api in
            let access = try #require(try await tokens(issuer)["access_token"] as? String)
            let answer = try await fetch("\(api)/api/whoami", headers: ["authorization": "Bearer \(access)"])
            #expect(answer.status == 401)
        }
    }
}
