import Cloakroom
import HTTPTypes
import Testing

@testable import CloakroomHTTP

@Suite struct RequestTests {
    @Test(
        "R11, R14: only local paths that lead to no other login are return addresses; anything else becomes /",
        arguments: [
            ("/", true), ("/auth/login?return_to=/auth/login", false),
            ("/auth/callback#x", false), ("/auth/logout", false), ("/auth/me?x=1", true), ("/a/b?c=d&e=%2F#f", true),
            ("/a//b", true), ("/@host", true), ("/https://evil.example", true),
            ("", false), ("a", false), ("//evil.example", false), ("///evil.example", false),
            ("/\\evil.example", false),
            ("\\\\evil.example", false), ("https://evil.example", false), ("javascript:alert(1)", false),
            ("/\t/evil.example", false), ("/\n/evil.example", false), ("/\r\nSet-Cookie: a=b", false), (" /", false),
            ("/ a", false), ("/\u{0}", false), ("/é", false), ("/\u{2028}", false), ("/a\\..\\b", false),
            ("/" + String(repeating: "a", count: 2047), true), ("/" + String(repeating: "a", count: 2048), false),
        ])
    func returnAddress(text: String, isLocal: Bool) {
        #expect(ReturnAddress(text).path == (isLocal ? text : "/"))
    }

    @Test("an endpoint is found by its path; a session's has a handle at its end, and nothing behind it")
    func endpoints() {
        for endpoint in AuthEndpoint.allCases { #expect(AuthEndpoint(path: endpoint.path) == endpoint) }
        for path in ["/auth/sessions/", "/auth/sessions/x", "/auth/sessions/%2F"] {
            #expect(AuthEndpoint(path: path) == .session)
        }
        for path in [
            "", "/", "/auth", "/auth/", "/auth/sessionsx", "/auth/sessions/x/y", "/auth/login/", "/Auth/login",
        ] {
            #expect(AuthEndpoint(path: path) == nil, "\(path)")
        }
        let handle = SessionID().handle
        #expect(AuthEndpoint.path(ofSession: handle) == "/auth/sessions/\(handle)")
    }

    @Test("R11: a missing return address is /")
    func noReturnAddress() {
        #expect(ReturnAddress(nil).path == "/")
    }

    @Test(
        "A public URL is https, or http on this machine, and a whole host",
        arguments: [
            ("https://app.example.com", "https://app.example.com"),
            ("https://app.example.com/", "https://app.example.com"),
            ("https://APP.example.com:443", "https://app.example.com"), ("https://a:8443", "https://a:8443"),
            ("http://localhost:8020", "http://localhost:8020"), ("http://127.0.0.1", "http://127.0.0.1"),
            ("http://[::1]:1", "http://[::1]:1"), ("http://app.example.com", nil), ("http://localhost.evil.com", nil),
            ("https://app.example.com/path", nil), ("https://u:p@app.example.com", nil), ("https://a?b", nil),
            ("ftp://a", nil), ("", nil), ("https://", nil), ("https://a b", nil), ("https://a:99999", nil),
        ] as [(String, String?)])
    func publicURL(text: String, origin: String?) {
        #expect(PublicURL(text)?.origin == origin)
    }

    @Test("A browser that came by another name of this machine is noticed, any other Host is not")
    func otherLoopbackName() throws {
        let url = try #require(PublicURL("http://localhost:8020"))
        #expect(url.isOtherLoopbackName("127.0.0.1:8020"))
        for authority in ["localhost:8020", "127.0.0.1:9", "127.0.0.1", "evil:8020", "x127.0.0.1:8020", ""] {
            #expect(!url.isOtherLoopbackName(authority))
        }
        #expect(!url.isOtherLoopbackName(nil))
        let remote = try #require(PublicURL("https://app.example.com"))
        #expect(!remote.isOtherLoopbackName("127.0.0.1:8020"))
    }

    @Test("Query parameters are read strictly")
    func query() throws {
        let parameters = try #require(QueryParameters("a=1&b=x%20y+z&c=&d&%65=%C3%A9"))
        #expect(parameters["a"] == "1" && parameters["b"] == "x y z" && parameters["c"] == "")
        #expect(parameters["d"] == "" && parameters["e"] == "é" && parameters["f"] == nil)
        #expect(QueryParameters(nil) != nil)
        let bad = [
            "a=1&a=1", "a=%", "a=%zz", "a=%ff", "a=1&%61=2", String(repeating: "a", count: 8193),
            (0..<33).map { "k\($0)=" }.joined(separator: "&"),
        ]
        for text in bad {
            #expect(QueryParameters(text) == nil, "\(text.prefix(20))")
        }
    }

    static let publicURL = PublicURL("https://app.example.com")

    @Test(
        "R31, R32, R33: an API request needs the static field and must come from our origin",
        arguments: [
            ([("X-CSRF", "1")], nil),
            ([("X-CSRF", "1"), ("Sec-Fetch-Site", "same-origin"), ("Origin", "https://app.example.com")], nil),
            ([("X-CSRF", "1"), ("Sec-Fetch-Site", "none")], nil),
            ([], .missingHeader), ([("X-CSRF", "0")], .missingHeader),
            ([("X-CSRF", "1"), ("X-CSRF", "1")], .missingHeader),
            ([("X-CSRF", "1"), ("Sec-Fetch-Site", "same-site")], .crossSite),
            ([("X-CSRF", "1"), ("Sec-Fetch-Site", "cross-site")], .crossSite),
            ([("X-CSRF", "1"), ("Sec-Fetch-Site", "new-value")], .crossSite),
            ([("X-CSRF", "1"), ("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "none")], .crossSite),
            ([("X-CSRF", "1"), ("Origin", "null")], .crossSite),
            ([("X-CSRF", "1"), ("Origin", "https://evil.example")], .crossSite),
            ([("X-CSRF", "1"), ("Origin", "http://app.example.com")], .crossSite),
        ] as [([(String, String)], RequestGuard.Refusal?)])
    func apiGuard(fields: [(String, String)], expected: RequestGuard.Refusal?) throws {
        let requestGuard = RequestGuard(publicURL: try #require(Self.publicURL))
        var headers = HTTPFields()
        for (name, value) in fields { headers.append(HTTPField(name: .known(name), value: value)) }
        #expect(requestGuard.refusal(ofAPIRequest: headers) == expected)
    }

    @Test("R45: error pages escape by Unicode scalars, so that a combining mark hides no quote")
    func escaping() {
        let escaped = HTMLText.escape("<a href=\"x\"\u{301} y='&'\u{338}>")
        #expect(escaped.unicodeScalars.allSatisfy { !"<>\"'".unicodeScalars.contains($0) })
        #expect(escaped == "&lt;a href=&quot;x&quot;\u{301} y=&#39;&amp;&#39;\u{338}&gt;")
    }
}
