import HTTPTypes
import Testing

@testable import CloakroomHTTP

@Suite struct CookieTests {
    @Test(
        "R16: a cookie is found by its exact name, and two of the name are refused",
        arguments: [
            ("", CookieLookup.absent), ("a=1", .absent), ("sid=x", .value("x")), ("a=1; sid=x; b=2", .value("x")),
            ("a=1;sid=x", .value("x")), ("\tsid=x \t", .value("x")), ("sid=a=b", .value("a=b")), ("sid=", .value("")),
            ("sid", .absent), ("SID=x", .absent), ("xsid=x", .absent), ("sid=x; sid=x", .refused),
            ("sid=x; other=1; sid=y", .refused), (";;; = ;", .absent), ("sid=\"x\"", .value("\"x\"")),
            // U+037E equals the semicolon to Swift, but not to a browser; a combining mark makes another character.
            ("a=1\u{37E}sid=x", .absent), ("a=1;\u{301}sid=x", .absent), ("sid=x; a=\u{37E}sid=y", .value("x")),
            ("sid=\u{301}x", .value("\u{301}x")),
        ])
    func lookup(header: String, expected: CookieLookup) {
        #expect(HTTPFields([HTTPField(name: .cookie, value: header)]).cookie(named: "sid") == expected)
    }

    @Test("R16: cookies in two fields count as two")
    func twoFields() {
        let fields = HTTPFields([
            HTTPField(name: .cookie, value: "sid=x"), HTTPField(name: .cookie, value: "sid=y"),
        ])
        #expect(fields.cookie(named: "sid") == .refused)
    }

    @Test("R16: more cookies than anyone should send are refused")
    func oversized() {
        let filler = String(repeating: "a", count: HTTPFields.maximumCookieBytes)
        #expect(HTTPFields([HTTPField(name: .cookie, value: "sid=x; f=\(filler)")]).cookie(named: "sid") == .refused)
    }

    @Test("R36: our cookies are taken out of what goes upstream, others stay")
    func without() {
        let fields = HTTPFields([
            HTTPField(
                name: .cookie, value: "a=1; __Host-cloakroom_session=s; b=2;cloakroom_login=l; cloakroom_session =x")
        ])
        #expect(fields.cookies(without: CookieSettings.reservedNames) == "a=1; b=2")
        let foreign = HTTPFields([HTTPField(name: .cookie, value: "a=1\u{37E}b; cloakroom_session=\u{301}s")])
        #expect(foreign.cookies(without: CookieSettings.reservedNames)?.utf8.elementsEqual("a=1\u{37E}b".utf8) == true)
        let ours = HTTPFields([HTTPField(name: .cookie, value: "cloakroom_session=s")])
        #expect(ours.cookies(without: CookieSettings.reservedNames) == nil)
    }

    @Test("R13: on https the cookies are __Host- and Secure; on plain http at this machine they can't be")
    func attributes() throws {
        let secure = CookieSettings(publicURL: try #require(PublicURL("https://app.example.com")))
        let binding = LoginBinding()
        #expect(
            secure.loginCookie(binding)
                == "__Host-cloakroom_login=\(binding.secret); Max-Age=600; Path=/; HttpOnly; SameSite=Lax; Secure")
        #expect(
            secure.endedSessionCookie
                == "__Host-cloakroom_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure")
        let plain = CookieSettings(publicURL: try #require(PublicURL("http://localhost:8020")))
        #expect(plain.endedSessionCookie == "cloakroom_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax")
        #expect(plain.loginName == "cloakroom_login")
    }

    @Test("R4: a binding of another tab is taken only if it has our form")
    func bindings() {
        let binding = LoginBinding()
        #expect(LoginBinding(binding.secret) == binding)
        let bad = ["", "x", binding.secret + "A", String(binding.secret.dropLast()), String(repeating: "*", count: 43)]
        for text in bad {
            #expect(LoginBinding(text) == nil)
        }
    }
}
