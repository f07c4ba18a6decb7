import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import Foundation
import HTTPTypes
import Logging
import NIOCore
import TestSupport
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

    /// A head that was read from these bytes.
    private func request(_ lines: String...) throws -> RequestHead {
        var buffer = ByteBuffer(string: lines.joined(separator: "\r\n") + "\r\n\r\n")
        var decoder = RequestDecoder()
        guard case .head(let head)? = try decoder.next(&buffer) else { throw TestFailure() }
        return head
    }

    private func response(_ lines: String...) throws -> ResponseHead {
        var buffer = ByteBuffer(string: lines.joined(separator: "\r\n") + "\r\n\r\n")
        var decoder = ResponseDecoder()
        decoder.expectResponse(toHead: false)
        guard case .head(let head)? = try decoder.next(&buffer) else { throw TestFailure() }
        return head
    }

    private struct TestFailure: Error {}

    private func forwarded(_ publicURL: String = "https://app.example.com") throws -> ForwardedHead {
        ForwardedHead(
            target: try UpstreamTarget("http://api.internal:8000"), publicURL: try #require(PublicURL(publicURL)))
    }

    private func lines(_ head: RequestHead, path: String? = nil) throws -> [String] {
        var out = ByteBuffer()
        let request = GatewayRequest(
            head, route: .upstream, address: ClientAddress(try SocketAddress(ipAddress: "192.0.2.7", port: 1)),
            number: RequestNumber(connection: 0xAB, number: 1))
        try forwarded().write(request, path: path, accessToken: "the-token", into: &out)
        let text = String(buffer: out)
        #expect(text.hasSuffix("\r\n\r\n"))
        return text.components(separatedBy: "\r\n").dropLast(2)
    }

    @Test("R36, R37, R38: only harmless fields of the client go upstream, and ours are added")
    func requestFields() throws {
        let head = try request(
            "POST /api/x HTTP/1.1", "Accept: a/b", "X-Custom:  1 ", "Content-Type: text/plain",
            "Authorization: Basic evil", "Cookie: a=1; __Host-cloakroom_session=secret; ;x",
            "Cookie: cloakroom_login=secret; b=2", "X-Forwarded-For: evil", "X-Forwarded-Host: evil",
            "X-Forwarded-Proto: evil", "X-Forwarded-User: evil", "X-Forwarded-Access-Token: evil",
            "Forwarded: for=evil", "X-Real-IP: evil", "Remote-User: evil",
            "Connection: close, X-Listed, Authorization, X-Forwarded-For", "X-Listed: evil", "Keep-Alive: evil",
            "TE: evil", "Trailer: evil", "Upgrade: evil", "Proxy-Authorization: evil", "Proxy-Connection: evil",
            "Transfer-Encoding: chunked", "Host: evil", "Expect: 100-continue", "X-CSRF: 1", "HTTP2-Settings: evil",
            "Via: evil", "X-Last: 2")
        #expect(
            try lines(head) == [
                "POST /api/x HTTP/1.1", "Host: api.internal:8000", "Accept: a/b", "X-Custom:  1 ",
                "Content-Type: text/plain", "X-Last: 2", "Cookie: a=1; x; b=2", "Authorization: Bearer the-token",
                "X-Forwarded-For: 192.0.2.7", "X-Request-Id: 00000000000000ab0000000000000001",
                "traceparent: 00-00000000000000ab0000000000000001-00000000000000ab-00",
                "X-Forwarded-Proto: https", "X-Forwarded-Host: app.example.com", "Transfer-Encoding: chunked",
            ])
    }

    private static let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test("A well-formed trace goes on to the upstream, and the request's ID is ours")
    func trace() throws {
        let sent = try lines(
            request(
                "GET /api/x HTTP/1.1", "Host: a", "TraceParent: \(Self.parent)", "tracestate: a=1,b=2",
                "X-Request-ID: theirs-1"))
        #expect(sent.contains("TraceParent: \(Self.parent)") && sent.contains("tracestate: a=1,b=2"))
        #expect(sent.filter { $0.lowercased().hasPrefix("traceparent") }.count == 1)
        #expect(
            sent.filter { $0.lowercased().hasPrefix("x-request-id") } == [
                "X-Request-Id: 00000000000000ab0000000000000001"
            ])
    }

    @Test(
        "A trace that is malformed or given twice is replaced by one of our own, with its state",
        arguments: [
            ["00-\(String(repeating: "0", count: 32))-00f067aa0ba902b7-01"],
            ["00-4bf92f3577b34da6a3ce929d0e0e4736-\(String(repeating: "0", count: 16))-01"],
            ["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"],
            ["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"], ["\(parent)-more"], ["nonsense"], [""],
            ["00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01"], [parent, parent], ["nonsense", parent],
        ])
    func malformedTrace(parents: [String]) throws {
        let fields = parents.map { "traceparent: \($0)" } + ["tracestate: evil=1"]
        let head = ["GET /api/x HTTP/1.1", "Host: a"] + fields
        var buffer = ByteBuffer(string: head.joined(separator: "\r\n") + "\r\n\r\n")
        var decoder = RequestDecoder()
        guard case .head(let request)? = try decoder.next(&buffer) else { throw TestFailure() }
        let sent = try lines(request).filter { $0.hasPrefix("trace") }
        #expect(sent == ["traceparent: 00-00000000000000ab0000000000000001-00000000000000ab-00"])
    }

    @Test(
        "R37, R38: no spelling that some server takes for a field of ours gets through, in any case and with any separator"
    )
    func spellings() throws {
        let forgeable = [
            "authorization", "forwarded", "host", "content-length", "expect", "via", "x-real-ip", "x-client-ip",
            "x-original-url", "x-rewrite-url", "x-original-uri", "x-remote-user", "remote-user", "true-client-ip",
            "cf-connecting-ip", "x-csrf", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
            "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "x-forwarded-for",
            "x-forwarded-", "x-forwarded-anything-at-all", "x-auth-request-user", "x-auth-request-", "x-request-id",
        ]
        let separators = ["-", "_", ".", "!", "#", "$", "%", "&", "'", "*", "+", "^", "`", "|", "~"]
        for name in forgeable {
            for separator in separators {
                for spelling in [
                    name.replacing("-", with: separator), name.replacing("-", with: separator).uppercased(),
                    name.replacing("-", with: separator, maxReplacements: 1).capitalized,
                ] {
                    let bytes = Array(spelling.utf8)
                    bytes.withUnsafeBytes { bytes in
                        #expect(FieldNames.inward(bytes, 0..<bytes.count) == .drop, "\(spelling)")
                    }
                }
            }
        }
        for name in [
            "x-forwarded", "xforwardedfor", "x-forwardedfor", "authorizations", "cookies", "x-csrf-token", "tea",
        ] {
            let bytes = Array(name.utf8)
            bytes.withUnsafeBytes { #expect(FieldNames.inward($0, 0..<$0.count) == .pass, "\(name)") }
        }
    }

    @Test("the length of a body is said as the client said it, and its absence where one is usual")
    func requestFraming() throws {
        #expect(try lines(request("GET /api HTTP/1.1", "Host: a"), path: "/api/y").first == "GET /api/y HTTP/1.1")
        #expect(try !lines(request("GET /api HTTP/1.1", "Host: a")).contains { $0.contains("Content-Length") })
        #expect(try lines(request("PUT /api HTTP/1.1", "Host: a")).last == "Content-Length: 0")
        #expect(
            try lines(request("PUT /api HTTP/1.1", "Host: a", "Content-Length: 1234567")).last
                == "Content-Length: 1234567")
    }

    @Test("R32, R36, R37: the upstream can set neither our cookies nor CORS, nor fields of its connection")
    func responseFields() throws {
        let head = try response(
            "HTTP/1.1 200 Fine", "Content-Type: text/plain", "X-Custom: 1", "Set-Cookie: a=1; Path=/",
            "set-cookie: __Host-cloakroom_session=evil", "Set-cookie:  cloakroom_session =evil; Path=/",
            "SET-COOKIE: cloakroom_login", "Set-CookiE: =cloakroom_session=evil",
            "Set-COOKIE:  = cloakroom_login =evil", "Access-Control-Allow-Origin: *", "Connection: X-Listed",
            "X-Listed: evil", "Content-Length: 3", "Keep-Alive: timeout=5", "X-Cloakroom-Replica: evil",
            "Cache-Control: public, max-age=60", "Strict-Transport-Security: max-age=0", "Location: /elsewhere")
        var out = ByteBuffer()
        _ = try forwarded().write(head, into: &out)
        #expect(
            String(buffer: out) == """
                HTTP/1.1 200 Fine\r\nContent-Type: text/plain\r\nX-Custom: 1\r\nSet-Cookie: a=1; Path=/\r\n\
                Location: /elsewhere\r\nCache-Control: no-store\r\n
                """)
    }

    @Test("R43: every response has the security fields, beside those of its own that count instead")
    func securityFields() throws {
        let fields = SecurityFields(publicURL: try #require(PublicURL("https://app.example.com")))
        let prepared = SecurityFieldBytes(fields, replicaName: "r1")
        for (own, absent) in [
            ([], []), (["Referrer-Policy: no-referrer"], ["Referrer-Policy"]),
            (["Content-Security-Policy: default-src *"], ["default-src"]),
            (
                ["Content-Security-Policy: default-src *", "content-security-policy: frame-ancestors *"],
                ["frame-ancestors"]
            ),
        ] as [([String], [String])] {
            var decoded = ByteBuffer(
                string: (["HTTP/1.1 200 OK", "Content-Length: 0"] + own).joined(separator: "\r\n") + "\r\n\r\n")
            var decoder = ResponseDecoder()
            decoder.expectResponse(toHead: false)
            guard case .head(let head)? = try decoder.next(&decoded) else { throw TestFailure() }
            var out = ByteBuffer()
            let text = String(decoding: prepared.bytes(try forwarded().write(head, into: &out)), as: UTF8.self)
            #expect(
                text.contains("X-Content-Type-Options: nosniff\r\n") && text.contains("X-Cloakroom-Replica: r1\r\n"))
            #expect(text.contains("Strict-Transport-Security: "))
            for name in absent { #expect(!text.contains(name), "\(own): \(text)") }
            if own.count == 1, own[0].hasPrefix("Content") { #expect(text.contains("frame-ancestors 'none'")) }
            if own.isEmpty { #expect(text.contains("default-src") && text.contains("Referrer-Policy")) }
        }
    }

    /// A request with these lines, as the byte path and the text path see it.
    private func both(_ lines: [String]) throws -> (head: RequestHead, fields: HTTPFields) {
        let head = try request((["GET /api HTTP/1.1", "Host: a"] + lines).joined(separator: "\r\n"))
        let whole = GatewayRequest(
            head, route: nil, address: ClientAddress(nil), number: RequestNumber(connection: 0, number: 0))
        return (head, whole.asHTTPRequest.headerFields)
    }

    @Test("R16: cookies are found, and left out, in bytes just as in text")
    func cookieBytes() throws {
        var random = SeededGenerator()
        let parts = [
            "cloakroom_session", "__Host-cloakroom_session", "cloakroom_login", "Cloakroom_session", "a", "=", "=", ";",
            "; ", " ", "\t", "\"", "\u{37E}", "x",
        ]
        let name = "cloakroom_session"
        var found = 0
        for _ in 0..<20_000 {
            let lines = (0..<Int.random(in: 0...2, using: &random)).map { _ in
                "Cookie: "
                    + (0..<Int.random(in: 0...8, using: &random)).map { _ in parts.randomElement(using: &random) ?? "" }
                    .joined()
            }
            let (head, fields) = try both(lines)
            head.fields.withBytes { bytes in
                switch (CookieBytes.find(Array(name.utf8), in: head.fields, bytes), fields.cookie(named: name)) {
                case (.absent, .absent), (.refused, .refused): break
                case (.value(let range), .value(let text)):
                    found += 1
                    #expect(String(decoding: bytes[range], as: UTF8.self) == text)
                case (let inBytes, let inText): Issue.record("\(lines): \(inBytes), \(inText)")
                }
                var out = ByteBuffer()
                CookieBytes.write(head.fields, bytes, into: &out)
                // Empty ones between are of no use to anyone.
                let expected =
                    fields.cookies(without: CookieSettings.reservedNames)?.utf8.split(separator: UInt8(ascii: ";"))
                    .map { String(Substring($0.trimmingOptionalWhitespace())) }.filter { !$0.isEmpty } ?? []
                let text = expected.isEmpty ? "" : "Cookie: " + expected.joined(separator: "; ") + "\r\n"
                #expect(String(buffer: out) == text, "\(lines)")
            }
        }
        #expect(found > 200)
        let long = "Cookie: " + String(repeating: "a", count: 9000)
        let (head, fields) = try both([long, long])
        #expect(fields.cookie(named: name) == .refused)
        #expect(head.fields.withBytes { CookieBytes.find(Array(name.utf8), in: head.fields, $0) } == .refused)
    }

    @Test("R31, R33: requests of other sites are refused in bytes just as in text")
    func guardBytes() throws {
        let publicURL = try #require(PublicURL("https://app.example.com"))
        let (inText, inBytes) = (RequestGuard(publicURL: publicURL), GuardBytes(publicURL: publicURL))
        var random = SeededGenerator()
        let lines = [
            "X-CSRF: 1", "x-csrf: 2", "X-CSRF: 11", "X-CSRF:", "X_CSRF: 1", "Origin: https://app.example.com",
            "origin: null", "Origin: https://app.example.com.evil", "Origin: https://APP.example.com",
            "Sec-Fetch-Site: same-origin", "sec-fetch-site: none", "Sec-Fetch-Site: same-site",
            "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: None", "Sec-Fetch-Site:",
        ]
        var passed = 0
        for _ in 0..<20_000 {
            let chosen = (0..<Int.random(in: 0...4, using: &random)).compactMap { _ in
                lines.randomElement(using: &random)
            }
            let (head, fields) = try both(chosen)
            let refusal = inBytes.refusal(of: head, needsField: true)
            #expect(refusal == inText.refusal(ofAPIRequest: fields), "\(chosen)")
            #expect(inBytes.refusal(of: head, needsField: false) == inText.refusalOfOrigin(fields), "\(chosen)")
            if refusal == nil { passed += 1 }
        }
        #expect(passed > 100)
    }

    @Test("numbers are written as they are read")
    func numbers() {
        for number in [0, 1, 9, 10, 15, 16, 17, 255, 256, 4095, 65_536, 1_234_567_890, Int.max] {
            var (decimal, hexadecimal) = (ByteBuffer(), ByteBuffer())
            decimal.writeDecimal(number)
            hexadecimal.writeHexadecimal(number)
            #expect(String(buffer: decimal) == "\(number)")
            #expect(String(buffer: hexadecimal) == String(number, radix: 16))
        }
    }

    @Test("what is taken for a plain path at a glance is what a closer look would pass on as it is")
    func plainPaths() throws {
        var random = SeededGenerator()
        let parts = ["/", ".", "..", "a", "%2e", "%2F", "%", "%4", "?", "#", ";", "\\", "[", "b%20c", "~", "&=+", "|"]
        var plain = 0
        for _ in 0..<20_000 {
            var target = "/api"
            for _ in 0..<Int.random(in: 0...6, using: &random) { target += parts.randomElement(using: &random) ?? "" }
            let head = try request("GET \(target) HTTP/1.1", "Host: a")
            guard UpstreamPath.isPlain(head) else { continue }
            plain += 1
            #expect(UpstreamPath(target)?.pathAndQuery == target)
        }
        #expect(plain > 500)
    }

    @Test("the line of a request is the one that any other way of logging it would write")
    func requestLines() throws {
        let now = Date(timeIntervalSince1970: 1_700_000_000.0625)
        for (target, path) in [
            ("/api/x?q=secret", "/api/x"), ("/a=b", "/a=b"), (#"/a"b"#, #"/a"b"#), (#"/a\b#c"#, #"/a\b"#), ("*", ""),
            ("/" + String(repeating: "a", count: 300), "/" + String(repeating: "a", count: 255)),
        ] {
            for (handle, microseconds, duration) in [
                (nil, 7, "0.007"), (SessionID().handle, 1_234_567, "1234.567"),
            ] as [(SessionHandle?, Int64, String)] {
                let request = GatewayRequest(
                    try request("GET \(target) HTTP/1.1", "Host: a"), route: .upstream, address: ClientAddress(nil),
                    number: RequestNumber(connection: 1, number: 0xABC))
                request.handle = handle
                var members = [
                    ("duration_ms", duration), ("method", "GET"), ("path", path), ("request_id", request.id),
                    ("route", "/api/**"),
                ]
                if let handle { members.append(("session", handle.description)) }
                members.append(("status", "200"))
                for format in [GatewaySettings.LogFormat.text, .json] {
                    let writer = RequestLine(format: format, label: "cloakroom")
                    let expected = LineLogHandler.line(format, .info, label: "cloakroom", "Request", members, now)
                    for _ in 0..<2 {
                        var lines = Array("before\n".utf8)
                        writer.write(request, status: 200, microseconds: microseconds, now, into: &lines)
                        #expect(String(decoding: lines, as: UTF8.self) == "before\n" + expected)
                    }
                    #expect(expected.contains("2023-11-14T22:13:20.062Z"))
                }
            }
        }
    }

    @Test("Date is the one of RFC 9110 §5.6.7")
    func dates() {
        for (seconds, text) in [
            (0.0, "Thu, 01 Jan 1970 00:00:00"), (784_111_777, "Sun, 06 Nov 1994 08:49:37"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59"), (951_782_400, "Tue, 29 Feb 2000 00:00:00"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59"), (4_107_542_400, "Mon, 01 Mar 2100 00:00:00"),
        ] {
            let field = DateField.field(Date(timeIntervalSince1970: seconds))
            #expect(String(decoding: field, as: UTF8.self) == "Date: \(text) GMT\r\n")
        }
    }
}
