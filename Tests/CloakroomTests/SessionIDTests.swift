import Cloakroom
import Foundation
import Testing

@Suite struct SessionIDTests {
    @Test("R17: an ID has 256 random bits, as 43 characters of base64url")
    func randomness() {
        let ids = (0..<1000).map { _ in SessionID() }
        #expect(Set(ids).count == 1000)
        #expect(ids.allSatisfy { $0.secret.utf8.count == 43 && SessionID($0.secret) == $0 })
        // Every bit of the first 252 is sometimes set and sometimes not: nothing is constant or derived from the time.
        var ones = [Int](repeating: 0, count: 256)
        for id in ids {
            let bytes = Base64URL.decode(id.secret) ?? []
            #expect(bytes.count == 32)
            for bit in 0..<256 where bytes[bit / 8] >> (bit % 8) & 1 == 1 { ones[bit] += 1 }
        }
        #expect(ones.allSatisfy { (350...650).contains($0) })
    }

    @Test(
        "IDs of other programs are accepted within a safe alphabet and bounded length",
        arguments: [
            "550e8400-e29b-41d4-a716-446655440000", "0123456789abcdef0123456789abcdef", "AZaz09-_.~AZaz09",
            String(repeating: "x", count: 128),
        ])
    func accepted(_ text: String) {
        #expect(SessionID(text)?.secret == text)
    }

    @Test(
        "anything else is refused",
        arguments: [
            "", "short", "fifteen-charact", String(repeating: "x", count: 129), String(repeating: "x", count: 100_000),
            "0123456789abcdef 123456789abcdef", "0123456789abcdef\r\nSET a b", "0123456789abcdef{slot}",
            "0123456789abcdef:x",
            "0123456789abcdéf0123456789abcdef", "0123456789abcdef*", "0123456789abcdef\u{0}", "0123456789abcdef%00",
        ])
    func refused(_ text: String) {
        #expect(SessionID(text) == nil)
    }

    @Test("R46: nothing that describes an ID, a session, tokens or user info shows a secret")
    func redaction() {
        let id = SessionID()
        let tokens = TokenSet(accessToken: "s3cret-a", refreshToken: "s3cret-r", idToken: "s3cret-i")
        let userInfo = UserInfo(subject: "s3cret-sub", email: "s3cret@example.com")
        let session = Session(tokens: tokens, userInfo: userInfo, createdAt: .now, expiresAt: .now)
        for value in [id, tokens, userInfo, session, [id], Optional(session) as Any] as [Any] {
            var dumped = ""
            dump(value, to: &dumped)
            for text in ["\(value)", String(reflecting: value), dumped] {
                #expect(!text.contains(id.secret) && !text.contains("s3cret"))
            }
        }
        #expect("\(id)".contains(id.handle.description))
    }

    @Test("the handle is the start of the ID's SHA-256, the same everywhere")
    func handle() throws {
        let id = try #require(SessionID("550e8400-e29b-41d4-a716-446655440000"))
        // printf 550e8400-e29b-41d4-a716-446655440000 | sha256sum
        #expect(id.handle.description == "a3a9e1ed9732cab28868127b")
    }
}

@Suite struct EncodingTests {
    @Test(
        "base64url holds to the vectors of RFC 4648 §10",
        arguments: [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ])
    func vectors(_ plain: String, _ encoded: String) {
        #expect(Base64URL.encode(Array(plain.utf8)) == encoded)
        #expect(Base64URL.decode(encoded) == Array(plain.utf8))
    }

    @Test func urlAlphabet() {
        #expect(Base64URL.encode([0xFB, 0xFF]) == "-_8")
        #expect(Base64URL.decode("-_8=") == [0xFB, 0xFF])
        for wrong in ["+/8", "A", "AAAAA", "Zg===", "Z=g", "Zg\n"] { #expect(Base64URL.decode(wrong) == nil) }
    }

    @Test func constantTimeComparison() {
        #expect(constantTimeEquals("same", "same"))
        #expect(
            !constantTimeEquals("same", "sama") && !constantTimeEquals("same", "sames") && !constantTimeEquals("", "a"))
    }
}
