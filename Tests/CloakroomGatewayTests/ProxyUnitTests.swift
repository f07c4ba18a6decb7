import CloakroomHTTP
import HTTPTypes
import NIOHTTP1
import Testing

@testable import CloakroomGateway

@Suite struct ProxyUnitTests {
    @Test(
        "R35: paths that could lead out of /api are refused, others go on as they came",
        arguments: [
            ("/api", true), ("/api/", true), ("/api/whoami?x=../..", true), ("/api/a%20b/%C3%A9", true),
            ("/api/...", true), ("/api/a..b", true), ("/api//x", true), ("/api/%7Ename", true), ("/api/a%25b", true),
            ("/api/x?y=%2F%5c", true), ("/api?x", true),
            ("/apix", false), ("/", false), ("", false), ("api/x", false), ("//api/x", false), ("/API/x", false),
            ("http://evil.example/api/x", false), ("*", false),
            ("/api/../admin", false), ("/api/..", false), ("/api/.", false), ("/api/./x", false),
            ("/api/%2e%2e/admin", false), ("/api/%2E./admin", false), ("/api/.%2e", false),
            ("/api/%252e%252e/x", false),
            ("/api/%25252e%25252e/x", false), ("/api/..;a=b/x", false), ("/api/%2e%2e%3bx/y", false),
            ("/api/a%2fb", false), ("/api/a%2Fb", false), ("/api/a%5cb", false), ("/api/a\\b", false),
            ("/api/a%252fb", false), ("/api/%00", false), ("/api/%0d%0a", false), ("/api/%", false),
            ("/api/%zz", false),
            ("/api/a b", false), ("/api/\u{E9}", false), ("/api/x#y", false), ("/api/\u{7F}", false),
            ("/api/" + String(repeating: "a", count: 8192), false),
        ])
    func paths(target: String, passes: Bool) {
        #expect((UpstreamPath(target)?.pathAndQuery) == (passes ? target : nil))
    }

    @Test(
        "R35: only what no URI can hold is escaped",
        arguments: [
            ("/api/?filter[a]=%20b", "/api/?filter%5Ba%5D=%20b"), ("/api/{a}?q=\"x|y\"", "/api/%7Ba%7D?q=%22x%7Cy%22"),
            ("/api?q=100%&r=%4", "/api?q=100%25&r=%254"), ("/api?%", "/api?%25"), ("/api?a\\b", "/api?a%5Cb"),
            ("/api/a!$&'()*+,;=:@~-._?/?", "/api/a!$&'()*+,;=:@~-._?/?"),
        ])
    func escaping(target: String, sent: String) {
        #expect(UpstreamPath(target)?.pathAndQuery == sent)
    }

    private func client() throws -> ProxyFields.Client {
        .init(
            remoteAddress: "192.0.2.7", publicURL: try #require(PublicURL("https://app.example.com")),
            accessToken: "the-token")
    }

    private func fields(_ pairs: [(String, String)]) throws -> HTTPFields {
        var fields = HTTPFields()
        for (name, value) in pairs {
            fields.append(HTTPField(name: try #require(HTTPField.Name(name)), value: value))
        }
        return fields
    }

    @Test("R36, R37, R38: only harmless fields of the client go upstream, and ours are added")
    func requestFields() throws {
        let sent = try fields([
            ("Accept", "a/b"), ("X-Custom", "1"), ("Content-Type", "text/plain"), ("Authorization", "Basic evil"),
            ("Cookie", "a=1; __Host-cloakroom_session=secret"), ("Cookie", "cloakroom_login=secret; b=2"),
            ("X-Forwarded-For", "evil"), ("X-Forwarded-Host", "evil"), ("X-Forwarded-Proto", "evil"),
            ("X-Forwarded-User", "evil"), ("X-Forwarded-Access-Token", "evil"), ("Forwarded", "for=evil"),
            ("X-Auth-Request-User", "evil"), ("X_Forwarded_For", "evil"), ("X_Auth_Request_Email", "evil"),
            ("X-Auth_Request-User", "evil"), ("X-Real-IP", "evil"), ("X_Real_IP", "evil"), ("Remote-User", "evil"),
            ("Connection", "close, X-Listed, Authorization, X-Forwarded-For"), ("X-Listed", "evil"),
            ("Keep-Alive", "evil"), ("TE", "evil"), ("Trailer", "evil"), ("Upgrade", "evil"),
            ("Proxy-Authorization", "evil"),
            ("Proxy-Connection", "evil"), ("Transfer-Encoding", "chunked"), ("Content-Length", "3"), ("Host", "evil"),
            ("Expect", "100-continue"), ("X-CSRF", "1"),
        ])
        let got = ProxyFields.request(sent, client: try client())
        let all = got.map { "\($0.name): \($0.value)" }.sorted()
        #expect(
            all == [
                "Accept: a/b", "Authorization: Bearer the-token", "Content-Type: text/plain", "Cookie: a=1; b=2",
                "X-Custom: 1", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: app.example.com",
                "X-Forwarded-Proto: https",
            ])
    }

    @Test("R32, R36, R37: the upstream can set neither our cookies nor CORS, nor fields of its connection")
    func responseFields() throws {
        let got = ProxyFields.response([
            "Content-Type": "text/plain", "X-Custom": "1", "Set-Cookie": "a=1; Path=/",
            "set-cookie": "__Host-cloakroom_session=evil", "Set-cookie": " cloakroom_session =evil; Path=/",
            "SET-COOKIE": "cloakroom_login", "Set-CookiE": "=cloakroom_session=evil",
            "Set-COOKIE": " = cloakroom_login =evil", "sEt-Cookie": "cloakroom_session=\u{301}evil",
            "Access-Control-Allow-Origin": "*", "Connection": "X-Listed",
            "X-Listed": "evil", "Transfer-Encoding": "chunked", "Keep-Alive": "timeout=5",
            "X-Cloakroom-Replica": "evil", "Cache-Control": "public, max-age=60", "Location": "/elsewhere",
        ])
        let all = got.map { "\($0.name.canonicalName): \($0.value)" }.sorted()
        #expect(
            all == [
                "cache-control: no-store", "content-type: text/plain", "location: /elsewhere",
                "set-cookie: a=1; Path=/",
                "x-custom: 1",
            ])
    }
}
