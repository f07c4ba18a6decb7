import AsyncHTTPClient
import Cloakroom
import CloakroomOIDC
import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization
import Testing

/// An OpenID provider that misbehaves as its script says. It speaks real HTTP on a port of the loopback interface.
final class ScriptedProvider: Sendable {
    enum Endpoint: String, Sendable {
        case metadata = "/.well-known/openid-configuration"
        case keys = "/jwks"
        case token = "/token"
        case userInfo = "/userinfo"
        case push = "/par"
    }

    /// An answer that takes the place of the regular one.
    enum Reply: Sendable {
        case body(status: Int, type: String, text: String)
        case json(Int, JSONValue)
        case redirect(String)
        /// No answer at all.
        case hang
        /// A head and half a body.
        case hangInBody
        /// This many bytes of a JSON string, with or without their number said before.
        case flood(bytes: Int, announced: Bool)
    }

    struct Script: Sendable {
        /// Members of the metadata to change; `nil` removes one.
        var metadata: [String: JSONValue?] = [:]
        /// The published keys, as they stand in the document.
        var keys: [JSONValue] = []
        var signingKey: TestKey
        /// Changes the ID token before it is signed.
        var idToken: @Sendable (inout TokenDraft) -> Void = { _ in }
        /// Changes the token endpoint's answer.
        var tokens: @Sendable (inout JSONObject) -> Void = { _ in }
        /// Changes the UserInfo endpoint's answer.
        var userInfo: @Sendable (inout JSONObject) -> Void = { _ in }
        var replies: [Endpoint: Reply] = [:]
    }

    struct Request: Sendable {
        let method: String
        let authorization: String?
        let contentType: String?
        let form: [String: String]
    }

    private struct State {
        var script: Script
        var logins: [String: (nonce: String, challenge: String)] = [:]
        /// Authorization requests that were pushed, by what stands for them.
        var pushed: [String: [String: String]] = [:]
        var requests: [Endpoint: [Request]] = [:]
    }

    let issuer: String
    /// Never yields; ends when the test does.
    private let end: (wait: AsyncStream<Never>, letGo: AsyncStream<Never>.Continuation)
    private let state: Mutex<State>

    init(port: Int, script: Script) {
        issuer = "http://127.0.0.1:\(port)"
        state = Mutex(State(script: script))
        let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
        end = (stream, continuation)
    }

    /// Ends the answers that hang.
    func letGo() { end.letGo.finish() }

    func change(_ body: (inout Script) -> Void) { state.withLock { body(&$0.script) } }

    func requests(to endpoint: Endpoint) -> [Request] { state.withLock { $0.requests[endpoint] ?? [] } }

    /// What the browser does at the authorization endpoint, down to the parameters that it brings back.
    func authorize(_ login: LoginRequest) throws -> AuthorizationResponse {
        var query = try parameters(of: login.authorizationURL)
        if let uri = query["request_uri"] {
            query = try #require(state.withLock { $0.pushed.removeValue(forKey: uri) })
        }
        let code = "code-\(UUID().uuidString)"
        let nonce = try #require(query["nonce"])
        let challenge = try #require(query["code_challenge"])
        state.withLock { $0.logins[code] = (nonce, challenge) }
        return AuthorizationResponse(code: code, state: query["state"])
    }

    func respond(to request: Hummingbird.Request) async throws -> Response {
        guard let endpoint = Endpoint(rawValue: request.uri.path) else { return Response(status: .notFound) }
        let body = try await request.body.collect(upTo: 1 << 20)
        let received = Request(
            method: request.method.rawValue, authorization: request.headers[.authorization],
            contentType: request.headers[.contentType], form: decodeForm(String(buffer: body)))
        let script = state.withLock { state in
            state.requests[endpoint, default: []].append(received)
            return state.script
        }
        if let reply = script.replies[endpoint] { return try await response(reply) }
        switch endpoint {
        case .metadata: return Self.json(200, .object(metadata(script)))
        case .keys: return Self.json(200, ["keys": .array(script.keys)])
        case .token: return try tokenResponse(received, script: script)
        case .push:
            let uri = "urn:ietf:params:oauth:request_uri:\(UUID().uuidString)"
            state.withLock { $0.pushed[uri] = received.form }
            return Self.json(201, ["request_uri": .string(uri), "expires_in": 60])
        case .userInfo:
            var claims: JSONObject = ["sub": "alice", "name": "Alice", "email": "alice@example.com"]
            script.userInfo(&claims)
            return Self.json(200, .object(claims))
        }
    }

    private func metadata(_ script: Script) -> JSONObject {
        var metadata: JSONObject = [
            "issuer": .string(issuer), "authorization_endpoint": .string(issuer + "/authorize"),
            "token_endpoint": .string(issuer + "/token"), "userinfo_endpoint": .string(issuer + "/userinfo"),
            "jwks_uri": .string(issuer + "/jwks"), "end_session_endpoint": .string(issuer + "/logout"),
        ]
        for (name, value) in script.metadata { metadata[name] = value }
        return metadata
    }

    private func tokenResponse(_ request: Request, script: Script) throws -> Response {
        let now = Int(Date().timeIntervalSince1970)
        var claims: JSONObject = [
            "iss": .string(issuer), "sub": "alice", "aud": "client", "exp": .number("\(now + 300)"),
            "iat": .number("\(now)"),
        ]
        if request.form["grant_type"] == "authorization_code" {
            let code = request.form["code"] ?? ""
            let login = state.withLock { $0.logins.removeValue(forKey: code) }
            let verifier = request.form["code_verifier"] ?? ""
            guard let login, Base64URL.encode(Array(SHA256.hash(data: Array(verifier.utf8)))) == login.challenge else {
                return Self.json(400, ["error": "invalid_grant"])
            }
            claims["nonce"] = .string(login.nonce)
            claims["sid"] = "provider-session"
        }
        var draft = TokenDraft(claims: claims, key: script.signingKey)
        script.idToken(&draft)
        var answer: JSONObject = [
            "access_token": "access-1", "token_type": "Bearer", "refresh_token": "refresh-1", "expires_in": 300,
            "refresh_expires_in": 1800, "id_token": .string(try draft.encoded()),
        ]
        script.tokens(&answer)
        return Self.json(200, .object(answer))
    }

    private static func json(_ status: Int, _ value: JSONValue) -> Response {
        Response(
            status: .init(code: status), headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: value.serialized)))
    }

    private func response(_ reply: Reply) async throws -> Response {
        switch reply {
        case .body(let status, let type, let text):
            return Response(
                status: .init(code: status), headers: [.contentType: type],
                body: .init(byteBuffer: ByteBuffer(string: text)))
        case .json(let status, let value): return Self.json(status, value)
        case .redirect(let target): return Response(status: .found, headers: [.location: target])
        case .hang:
            for await _ in end.wait {}
            return Response(status: .ok)
        case .hangInBody:
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init { [end] writer in
                    try await writer.write(ByteBuffer(string: "{\"issuer\":"))
                    for await _ in end.wait {}
                    try await writer.finish(nil)
                })
        case .flood(let bytes, let announced):
            let chunk = ByteBuffer(repeating: UInt8(ascii: "a"), count: 65536)
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init(contentLength: announced ? bytes : nil) { writer in
                    var rest = bytes
                    while rest > 0 {
                        let part = min(rest, chunk.readableBytes)
                        try await writer.write(chunk.getSlice(at: 0, length: part) ?? ByteBuffer())
                        rest -= part
                    }
                    try await writer.finish(nil)
                })
        }
    }
}
