import Crypto
import Foundation
import NIOHTTP1
import Testing

/// A relying party's half of the code flow.
struct Flow: Sendable {
    let provider: RunningProvider
    let browser: Browser
    var clientID = "app"
    var redirectURI = RunningProvider.redirectURI
    var scope = "openid profile email"
    var state = "st & <a> \"é"
    var nonce = "n-\(UUID().uuidString)"
    var verifier = base64URL((0..<32).map { _ in UInt8.random(in: .min ... .max) })

    struct Tokens: Sendable {
        let access: String
        let refresh: String
        let id: String
    }

    var parameters: [(String, String)] {
        [
            ("response_type", "code"), ("client_id", clientID), ("redirect_uri", redirectURI), ("scope", scope),
            ("state", state), ("nonce", nonce), ("code_challenge_method", "S256"),
            ("code_challenge", base64URL(SHA256.hash(data: Data(verifier.utf8)))),
        ]
    }

    func authorize(adding extra: [(String, String)] = [], without: Set<String> = []) async throws -> Browser.Answer {
        let all = parameters.filter { !without.contains($0.0) } + extra
        return try await browser.get("\(provider.base)/authorize?\(encode(all))")
    }

    func signIn(
        on page: Browser.Answer, username: String = "admin", password: String = "test"
    ) async throws -> Browser.Answer {
        let request = try #require(page.hidden("request"))
        let csrf = try #require(page.hidden("csrf"))
        return try await browser.post(
            "\(provider.base)/login",
            form: [("request", request), ("csrf", csrf), ("username", username), ("password", password)])
    }

    /// Logs in by the form and returns the code.
    func code(username: String = "admin") async throws -> String {
        let answer = try await signIn(on: try await authorize(), username: username)
        return try #require(answer.redirect?.parameters["code"])
    }

    func redeem(
        _ code: String, verifier: String? = nil, redirectURI: String? = nil, headers: HTTPHeaders? = nil,
        adding extra: [(String, String)] = []
    ) async throws -> Browser.Answer {
        try await token(
            [
                ("grant_type", "authorization_code"), ("code", code),
                ("redirect_uri", redirectURI ?? self.redirectURI), ("code_verifier", verifier ?? self.verifier),
            ] + extra, headers: headers)
    }

    func refresh(_ token: String, adding extra: [(String, String)] = []) async throws -> Browser.Answer {
        try await self.token([("grant_type", "refresh_token"), ("refresh_token", token)] + extra, headers: nil)
    }

    func token(_ form: [(String, String)], headers: HTTPHeaders?) async throws -> Browser.Answer {
        // A token request comes from the application's server, so it brings no cookies.
        try await Browser().post(
            "\(provider.base)/token", form: form, headers: headers ?? Self.basic(clientID, RunningProvider.secret))
    }

    func userInfo(_ token: String) async throws -> Browser.Answer {
        try await Browser().get("\(provider.base)/userinfo", headers: ["authorization": "Bearer \(token)"])
    }

    /// The whole way to tokens.
    func logIn(username: String = "admin") async throws -> Tokens {
        try Self.tokens(try await redeem(try await code(username: username)))
    }

    static func tokens(_ answer: Browser.Answer) throws -> Tokens {
        #expect(answer.status == 200)
        let json = try answer.json()
        return Tokens(
            access: try #require(json["access_token"] as? String),
            refresh: try #require(json["refresh_token"] as? String),
            id: try #require(json["id_token"] as? String))
    }

    /// Both halves are form-encoded first (RFC 6749 §2.3.1).
    static func basic(_ id: String, _ secret: String) -> HTTPHeaders {
        ["authorization": "Basic \(Data("\(escape(id)):\(escape(secret))".utf8).base64EncodedString())"]
    }
}

/// Expects the token endpoint's error in the form of RFC 6749 §5.2.
func expectError(
    _ answer: Browser.Answer, _ code: String, status: UInt = 400, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    #expect(answer.status == status, sourceLocation: sourceLocation)
    #expect(try answer.json()["error"] as? String == code, sourceLocation: sourceLocation)
    #expect(answer.headers.first(name: "cache-control") == "no-store", sourceLocation: sourceLocation)
}
