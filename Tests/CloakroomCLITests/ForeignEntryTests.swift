import Cloakroom
import Foundation
import Testing

@testable import CloakroomCLI

/// Sessions of other programs, as they stand in Redis.
@Suite struct ForeignEntryTests {
    private static let now = Date(timeIntervalSince1970: 1_764_230_400)
    private static let id = "Zk3vB1mC0nQx9yW2aT7uLs5dPqRjHgFe"

    private func session(_ line: String, lifetime: Duration = .seconds(8 * 3600)) throws -> ForeignSession {
        try ForeignEntry(SessionFile.object(Array(line.utf8))).session(at: Self.now, lifetime: lifetime)
    }

    private func skip(_ line: String) -> String? {
        #expect(throws: ForeignEntry.Skip.self) { try session(line) }?.reason
    }

    private static func idToken(_ claims: String) -> String { "e30.\(Base64URL.encode(Array(claims.utf8))).c2ln" }

    private func line(_ key: String, _ value: String, _ rest: JSONObject = ["ttl": 3600]) -> String {
        var object: JSONObject = ["key": .string(key), "value": .string(value)]
        for member in rest.members { object[member.name] = member.value }
        return String(decoding: JSONValue.object(object).serialized, as: UTF8.self)
    }

    @Test("connect-redis with keycloak-connect: tokens are JSON within JSON; the ID token says who it is")
    func connect() throws {
        let token = Self.idToken(
            #"{"iss":"https://id.example.com","sub":"u1","sid":"s1","preferred_username":"ada","exp":1,"nonce":"n"}"#)
        let grant = #"{"access_token":"a","refresh_token":"r","id_token":"\#(token)","expires_in":300}"#
        var content: JSONObject = [
            "cookie": [
                "originalMaxAge": 86_400_000, "expires": "2025-11-27T09:00:00.000Z", "httpOnly": true, "path": "/",
            ]
        ]
        content["keycloak-token"] = .string(grant)
        let text = String(decoding: JSONValue.object(content).serialized, as: UTF8.self)
        let found = try session(line("sess:" + Self.id, text, ["ttl": 7200]))
        #expect(found.id == SessionID(Self.id))
        #expect(found.session.tokens.accessToken == "a" && found.session.tokens.refreshToken == "r")
        // When it was issued nobody knows, so it is refreshed at its first use.
        #expect(found.session.tokens.expiresIn == 0 && found.session.refreshedAt == Self.now)
        #expect(found.session.issuer == "https://id.example.com" && found.session.providerSessionID == "s1")
        #expect(found.session.userInfo.claims == ["sub": "u1", "preferred_username": "ada"])
        // The cookie ends an hour from now, the key later.
        #expect(found.session.expiresAt == Self.now.addingTimeInterval(3600))
    }

    @Test("connect-redis with passport: the user and tokens are in passport.user; the value may be JSON itself")
    func passport() throws {
        let found = try session(
            """
            {"key":"sess:\(Self.id)","ttl":100,"value":{"cookie":{"expires":null},"passport":{"user":{"sub":"u2",
            "email":"u2@example.com","tokens":{"accessToken":"a2","refreshToken":"r2","expires_at":1764230500}}}}}
            """)
        #expect(found.session.user?.subject == "u2" && found.session.userInfo.email == "u2@example.com")
        #expect(found.session.tokens.refreshToken == "r2" && found.session.tokens.expiresIn == 100)
        #expect(found.session.expiresAt == Self.now.addingTimeInterval(100))
    }

    /// As Flask-Session 0.8.0 on Flask 3.1.3 has written them, in both of its forms.
    @Test(
        "Flask-Session: MessagePack and JSON",
        arguments: [
            "g6pfcGVybWFuZW50w69vaWRjX2F1dGhfdG9rZW6FrGFjY2Vzc190b2tlbqJhM61yZWZyZXNoX3Rva2VuonIzqmV4cGlyZXNfaW7NASyqZXhw"
                + "aXJlc19hdMtB2koBTyAAAKp0b2tlbl90eXBlpkJlYXJlcrFvaWRjX2F1dGhfcHJvZmlsZYKjc3VionUzpG5hbWWmQWRhIEwu",
            "eyJfcGVybWFuZW50Ijp0cnVlLCJvaWRjX2F1dGhfdG9rZW4iOnsiYWNjZXNzX3Rva2VuIjoiYTMiLCJyZWZyZXNoX3Rva2VuIjoicjMiLCJl"
                + "eHBpcmVzX2luIjozMDAsImV4cGlyZXNfYXQiOjE3NjQyMzA0NjAuNSwidG9rZW5fdHlwZSI6IkJlYXJlciJ9LCJvaWRjX2F1dGhfcHJv"
                + "ZmlsZSI6eyJzdWIiOiJ1MyIsIm5hbWUiOiJBZGEgTC4ifX0=",
        ])
    func flask(_ value: String) throws {
        let key = "session:czmhNYREu3W_QmR3hPU-1iAqP_0LmQCRolohnxrQ4ug"
        let found = try session(#"{"key":"\#(key)","value_base64":"\#(value)","pttl":60500}"#)
        #expect(found.id.secret == "czmhNYREu3W_QmR3hPU-1iAqP_0LmQCRolohnxrQ4ug")
        #expect(found.session.user?.subject == "u3" && found.session.userInfo.name == "Ada L.")
        #expect(found.session.tokens.accessToken == "a3" && found.session.tokens.refreshToken == "r3")
        #expect(found.session.tokens.expiresIn == 60)
        #expect(found.session.expiresAt == Self.now.addingTimeInterval(60))
    }

    @Test("what Python pickled and Java serialized is passed over, never read")
    func serialized() {
        #expect(
            skip(#"{"key":"session:\#(Self.id)","value_base64":"gASVCgAAAAAAAAB9lIwBYZRLAXMu"}"#)?.contains("pickled")
                == true)
        #expect(skip(#"{"key":"x:\#(Self.id)","value_base64":"rO0ABXNyABFqYXZh"}"#)?.contains("Java") == true)
        let hash = #"{"key":"spring:session:sessions:\#(Self.id)","hash_base64":{"sessionAttr:a":"rO0ABXNyABFqYXZh"}}"#
        #expect(skip(hash)?.contains("Java") == true)
    }

    @Test("Spring Session with JSON attributes")
    func spring() throws {
        let clients = """
            {"@class":"java.util.HashMap","keycloak":{"@class":"org.springframework.OAuth2AuthorizedClient",
             "accessToken":{"@class":"o.s.OAuth2AccessToken","tokenValue":"a4","expiresAt":1764230700.5},
             "refreshToken":{"@class":"o.s.OAuth2RefreshToken","tokenValue":"r4"}}}
            """
        let context = """
            {"authentication":{"principal":{"idToken":{"tokenValue":"i4","claims":{"@class":"java.util.Map","sub":"u4",
             "name":"Ada"}}}}}
            """
        var hash: JSONObject = ["creationTime": "1764226800000", "maxInactiveInterval": "1800"]
        hash["sessionAttr:SPRING_SECURITY_CONTEXT"] = .string(context)
        hash["sessionAttr:AUTHORIZED_CLIENTS"] = .string(clients)
        var object: JSONObject = ["key": .string("spring:session:sessions:550e8400-e29b-41d4-a716-446655440000")]
        object["hash"] = .object(hash)
        object["ttl"] = 1800
        let found = try session(String(decoding: JSONValue.object(object).serialized, as: UTF8.self))
        #expect(found.session.tokens.accessToken == "a4" && found.session.tokens.refreshToken == "r4")
        #expect(found.session.tokens.idToken == "i4" && found.session.tokens.expiresIn == 300)
        #expect(found.session.user?.subject == "u4" && found.session.userInfo["@class"] == nil)
        #expect(found.session.createdAt == Date(timeIntervalSince1970: 1_764_226_800))
    }

    @Test(
        "what is no session is passed over",
        arguments: [
            ("spring:session:sessions:expires:550e8400-e29b-41d4-a716-446655440000", "kept beside"),
            ("spring:session:expirations:1764230400000", "kept beside"),
        ])
    func springCompanions(_ key: String, _ reason: String) {
        #expect(skip(#"{"key":"\#(key)","hash":{}}"#)?.contains(reason) == true)
    }

    @Test("a session without tokens, or with an ID that none can have, is passed over")
    func unfit() {
        let tokens = #"{"access_token":"a"}"#
        #expect(skip(line("sess:" + Self.id, #"{"cookie":{}}"#))?.contains("no tokens") == true)
        #expect(skip(line("sess:short", tokens))?.contains("ID") == true)
        #expect(skip(line("sess:0123456789 abcdef", tokens))?.contains("ID") == true)
        #expect(skip(line("sess:" + String(repeating: "a", count: 129), tokens))?.contains("ID") == true)
        #expect(skip(line("sess:" + Self.id, "\u{1}\u{2}"))?.contains("neither") == true)
        #expect(skip(line("sess:" + Self.id, "[1]"))?.contains("not an object") == true)
    }

    @Test("no session lives longer than SESSION_TIMEOUT from now on")
    func bounded() throws {
        let text = line("sess:" + Self.id, #"{"access_token":"a"}"#, ["ttl": 2_592_000])
        #expect(try session(text).session.expiresAt == Self.now.addingTimeInterval(8 * 3600))
        let endless = line("sess:" + Self.id, #"{"access_token":"a"}"#, ["ttl": .number("-1")])
        #expect(try session(endless).session.expiresAt == Self.now.addingTimeInterval(8 * 3600))
    }

    @Test("a line that is no entry is refused")
    func lines() {
        for text in [#"{"value":"x"}"#, #"{"key":"a"}"#, #"{"key":"a","value_base64":"!!"}"#] {
            #expect(throws: Failure.self) { try session(text) }
        }
    }

    @Test(
        "bytes that are no MessagePack are refused, and never read beyond their end",
        arguments: [
            [], [0xC1], [0x81], [0x81, 0xA1], [0xDF, 0xFF, 0xFF, 0xFF, 0xFF], [0xDD, 0x7F, 0xFF, 0xFF, 0xFF],
            [0xDB, 0xFF, 0xFF, 0xFF, 0xFF], [0xC9, 0xFF, 0xFF, 0xFF, 0xFF, 0], [0x01, 0x02],
            [UInt8](repeating: 0x91, count: 1000),
        ] as [[UInt8]])
    func brokenMessagePack(_ bytes: [UInt8]) {
        #expect(MessagePack.decode(bytes) == nil)
    }

    @Test("MessagePack's numbers, texts and names")
    func messagePackValues() {
        #expect(MessagePack.decode([0xFF]) == .number("-1"))
        #expect(MessagePack.decode([0xCD, 0x01, 0x2C]) == .number("300"))
        #expect(MessagePack.decode([0xD1, 0xFF, 0xFE]) == .number("-2"))
        #expect(MessagePack.decode([0xCF] + [UInt8](repeating: 0xFF, count: 8)) == .number("18446744073709551615"))
        #expect(MessagePack.decode([0x92, 0xC0, 0xC3]) == .array([.null, .bool(true)]))
        #expect(MessagePack.decode([0xC4, 0x01, 0xFF]) == .null)
        #expect(MessagePack.decode([0xD6, 0xFF, 0, 0, 0, 0]) == .null)
        #expect(MessagePack.decode([0x82, 0x01, 0x02, 0xA1, 0x61, 0x03]) == .object(["a": 3]))
        #expect(MessagePack.decode([0xCB, 0x7F, 0xF0, 0, 0, 0, 0, 0, 0]) == .null)
    }
}
