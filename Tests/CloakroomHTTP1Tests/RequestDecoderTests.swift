import NIOCore
import TestSupport
import Testing

@testable import CloakroomHTTP1

@Suite struct RequestDecoderTests {
    /// A request with this start line and these lines after `Host`.
    private func request(_ lines: String..., start: String = "POST /x HTTP/1.1", body: String = "") -> String {
        ([start, "Host: a"] + lines).joined(separator: "\r\n") + "\r\n\r\n" + body
    }

    private func failure(_ text: String) -> HTTP1Failure? {
        if case .failure(let failure)? = requests(text).last { failure } else { nil }
    }

    @Test("Requests follow one another, each with its body")
    func pipeline() {
        let text =
            request(start: "GET /1 HTTP/1.1") + request("Content-Length: 3", body: "abc")
            + request("transfer-encoding: Chunked", body: "3;x=y\r\nabc\r\n02\r\nde\r\n0\r\nTrailer: x\r\n\r\n")
            + request("Content-Length: 0", "Connection: close")
        #expect(
            requests(text) == [
                .head("/1", .none, keepsAlive: true), .end,
                .head("/x", .length(3), keepsAlive: true), .body("abc"), .end,
                .head("/x", .chunked, keepsAlive: true), .body("abc"), .body("de"), .end,
                .head("/x", .none, keepsAlive: false), .end,
            ])
    }

    @Test("it makes no difference in which pieces the bytes come")
    func pieces() {
        let text = Array(
            (request(start: "GET /1 HTTP/1.1") + request("Content-Length: 3", body: "abc") + "\r\n"
                + request("Transfer-Encoding: chunked", body: "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n")
                + request("Transfer-Encoding: chunked", body: "0x\r\n")).utf8)
        let whole = requests([text]).joined
        #expect(whole.last == .failure(.malformed(.chunkSize)))
        for first in 0..<text.count {
            #expect(requests([Array(text[..<first]), Array(text[first...])]).joined == whole, "cut at \(first)")
        }
        #expect(requests(text.map { [$0] }).joined == whole)
    }

    @Test(
        "R39, R49: what two servers could read in two ways is refused",
        arguments: [
            ("Content-Length: 4|Transfer-Encoding: chunked", .contentLength),
            ("Transfer-Encoding: chunked|Content-Length: 4", .contentLength),
            ("Content-Length: 4|Content-Length: 4", .contentLength),
            ("Content-Length: 4, 4", .contentLength), ("Content-Length: +4", .contentLength),
            ("Content-Length: -4", .contentLength), ("Content-Length: 0x4", .contentLength),
            ("Content-Length:", .contentLength), ("Content-Length: 4 4", .contentLength),
            ("Content-Length: 9999999999999999999", .contentLength),
            ("Transfer-Encoding: identity", .transferEncoding), ("Transfer-Encoding: xchunked", .transferEncoding),
            ("Transfer-Encoding: ,chunked", .transferEncoding), ("Transfer-Encoding: chunked,", .transferEncoding),
            ("Transfer-Encoding: chunked;q=1", .transferEncoding),
            ("Transfer-Encoding: \"chunked\"", .transferEncoding),
            ("Transfer-Encoding: identity, chunked", .transferEncoding),
            ("Transfer-Encoding: gzip, chunked", .transferEncoding),
            ("Transfer-Encoding: chunked, chunked", .transferEncoding),
            ("Transfer-Encoding: chun\tked", .transferEncoding),
            ("Transfer-Encoding: chunked|Transfer-Encoding: chunked", .transferEncoding),
            ("Transfer-Encoding:", .transferEncoding), ("Transfer-Encoding: chunked\u{0B}", .fieldValue),
            ("Transfer-Encoding : chunked", .fieldName), ("Host: b", .host), (" folded: x", .foldedField),
            ("\tfolded: x", .foldedField), ("X-A: b\u{0}", .fieldValue), ("X-A: b\rX-B: c", .fieldValue),
            ("X-A: b\nX-B: c", .lineEnd), ("no colon", .fieldName), (": no name", .fieldName),
            ("X\u{E9}: a", .fieldName), ("X-A: \u{7F}", .fieldValue), ("X-Ä: a", .fieldName),
        ] as [(String, HTTP1Failure.Malformation)])
    func ambiguous(lines: String, problem: HTTP1Failure.Malformation) {
        let text = request(lines.replacing("|", with: "\r\n"), body: "0\r\n\r\n")
        #expect(failure(text) == .malformed(problem))
    }

    @Test("codings that exist are 501, expectations of something else 417")
    func unsupported() {
        for coding in ["gzip", "X-GZIP", "deflate", "compress", "x-compress"] {
            #expect(failure(request("Transfer-Encoding: \(coding)")) == .unsupportedCoding, "\(coding)")
        }
        #expect(failure(request("Expect: 200-ok")) == .unsupportedExpectation)
        #expect(
            failure(request("Transfer-Encoding: chunked", start: "POST / HTTP/1.0")) == .malformed(.transferEncoding))
    }

    @Test(
        "start lines",
        arguments: [
            ("GET / HTTP/1.1", nil), ("GET * HTTP/1.1", nil), ("get / HTTP/1.1", nil), ("X-Y / HTTP/1.0", nil),
            ("GET /", .target), ("GET  / HTTP/1.1", .target), ("GET /  HTTP/1.1", .version),
            ("GET / HTTP/1.1 ", .version), ("GET / HTTP/1.2", .version), ("GET / HTTP/11", .version),
            ("GET / http/1.1", .version), ("GET / HTTP/2.0", .http2), ("GET / HTTP/0.9", .version),
            ("GET\t/ HTTP/1.1", .startLine), (" GET / HTTP/1.1", .startLine), ("GET /\u{E9} HTTP/1.1", .target),
            ("GET /a b HTTP/1.1", .version), ("G@T / HTTP/1.1", .startLine), ("GET", .startLine),
        ] as [(String, HTTP1Failure.Malformation?)])
    func startLines(line: String, problem: HTTP1Failure.Malformation?) {
        #expect(failure(request(start: line)) == problem.map { .malformed($0) })
    }

    @Test(
        "R39, R49: a Host is there once and names a host",
        arguments: [
            ("", false), (" ", false), ("a b", false), ("a/b", false), ("user@a", false), ("a:b", false),
            ("a:123456", false), (":80", false), ("[::1", false), ("[::1]x", false), ("a,b", false), ("a\u{E9}", false),
            ("a", true), ("a.b-c_d:80", true), ("a:", true), ("[::1]", true), ("[::1]:8020", true), ("127.0.0.1", true),
        ])
    func hosts(host: String, isRight: Bool) {
        let text = "GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n"
        #expect(failure(text) == (isRight ? nil : .malformed(.host)))
    }

    @Test("R49: HTTP/1.1 needs a Host; HTTP/1.0 does not, and its connection ends")
    func versions() {
        #expect(failure("GET / HTTP/1.1\r\n\r\n") == .malformed(.host))
        #expect(
            requests("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") == [
                .head("/", .none, keepsAlive: false), .end,
            ])
    }

    @Test("R48: after a request for another protocol nothing is read")
    func protocolChange() {
        let next = request(start: "GET /2 HTTP/1.1")
        #expect(
            requests(request("Content-Length: 3", start: "CONNECT a:1 HTTP/1.1", body: "abc") + next) == [
                .head("a:1", .none, keepsAlive: true), .end, .rest(3 + next.utf8.count),
            ])
        for fields in ["Upgrade: h2c", "Connection: upgrade\r\nUpgrade: websocket"] {
            #expect(
                requests(request(fields, "Content-Length: 3", body: "abc") + next) == [
                    .head("/x", .length(3), keepsAlive: true), .body("abc"), .end, .rest(next.utf8.count),
                ])
        }
    }

    @Test("R49: Connection is a list, in whichever case")
    func connection() throws {
        for (value, keepsAlive) in [
            ("Close", false), ("keep-alive, CLOSE", false), ("x,close ", false), ("closed", true), ("", true),
            ("Keep-Alive", true),
        ] {
            let parts = requests(request("Connection: \(value)", start: "GET / HTTP/1.1"))
            #expect(parts.first == .head("/", .none, keepsAlive: keepsAlive), "\(value)")
        }
    }

    @Test(
        "R39: chunks are read strictly",
        arguments: [
            ("5\r\nhello\r\n0\r\n\r\n", nil), ("0005\r\nhello\r\n000\r\n\r\n", nil),
            ("5;a=b;c\r\nhello\r\n0;x\r\n\r\n", nil), ("5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", nil),
            ("0x5\r\nhello\r\n", .chunkSize), ("+5\r\nhello\r\n", .chunkSize), ("-0\r\n\r\n", .chunkSize),
            ("5 \r\nhello\r\n", .chunkSize), (" 5\r\nhello\r\n", .chunkSize), ("\r\nhello", .chunkSize),
            ("0000000000000005\r\nhello\r\n", .chunkSize), ("11111111111111111\r\n", .chunkSize),
            ("5\nhello\r\n", .chunkSize), ("5\rhello", .chunkSize), ("5\r\nhello0\r\n", .chunkEnd),
            ("5\r\nhello\n0\r\n", .chunkEnd), ("5\r\nhello\rX", .chunkEnd), ("5;\u{0}\r\nhello", .chunkSize),
            ("5;a\nhello", .chunkSize), ("0\r\nA b\r\n\r\n", .trailer), ("0\r\n A: b\r\n\r\n", .trailer),
            ("0\r\nA: b\n\r\n", .trailer), ("0\r\n\n", .trailer), ("g\r\n", .chunkSize),
        ] as [(String, HTTP1Failure.Malformation?)])
    func chunks(body: String, problem: HTTP1Failure.Malformation?) {
        let all = requests(request("Transfer-Encoding: chunked", body: body))
        if let problem {
            #expect(all.last == .failure(.malformed(problem)))
        } else {
            #expect(all.joined.suffix(2) == [.body("hello"), .end])
        }
    }

    @Test("R50: nothing that is not whole is kept beyond its limit")
    func limits() {
        var limits = HTTP1Limits()
        (limits.startLine, limits.head, limits.fields, limits.trailer) = (100, 400, 4, 50)
        func failure(_ text: String) -> HTTP1Failure? {
            if case .failure(let failure)? = requests(text, limits: limits).last { failure } else { nil }
        }
        let long = String(repeating: "a", count: 500)
        #expect(failure("GET /\(long)") == .startLineTooLong)
        #expect(failure("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\n") == .startLineTooLong)
        #expect(failure("GET / HTTP/1.1\r\nX: \(long)") == .headTooLarge)
        #expect(failure("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)\r\n\r\n") == .headTooLarge)
        #expect(
            failure("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "A: b\r\n", count: 4) + "\r\n") == .headTooLarge
        )
        #expect(failure("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "A: b\r\n", count: 3) + "\r\n") == nil)
        let chunked = request("Transfer-Encoding: chunked")
        #expect(failure(chunked + "5;\(long)") == .malformed(.chunkSize))
        #expect(failure(chunked + "0\r\nA: \(long)") == .headTooLarge)
        #expect(failure(chunked + "0\r\n" + String(repeating: "A: b\r\n", count: 10)) == .headTooLarge)
    }

    @Test("R48: what can't become a request is refused at its first byte")
    func otherProtocols() {
        #expect(requests([[0x16, 3, 1]]) == [.failure(.malformed(.tls))])
        #expect(failure("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == .malformed(.http2))
        #expect(failure("\n") == .malformed(.startLine))
        #expect(failure("\r\n\r\n") == .malformed(.startLine), "one empty line is skipped, a second is not")
        #expect(failure("GET / HTTP/1.1\n") == .malformed(.lineEnd), "at once, not when an empty line comes")
    }

    @Test("after a failure nothing is read")
    func afterFailure() throws {
        var decoder = RequestDecoder()
        var buffer = ByteBuffer(string: "GET / HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in 0..<3 {
            #expect(throws: HTTP1Failure.malformed(.host)) { _ = try decoder.next(&buffer) }
        }
    }

    @Test("random bytes, and random changes to good ones, are read alike in whichever pieces")
    func randomBytes() {
        var random = SeededGenerator()
        let good = Array(
            (request("Transfer-Encoding: chunked", body: "5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n")
                + request("Content-Length: 5", "Connection: x, keep-alive", body: "hello")
                + request("Expect: 100-continue", start: "GET /?q HTTP/1.0")).utf8)
        let alphabet = Array("\r\n\t :;,019afGET/chunkedHTTP\u{0}\u{7F}".utf8)
        for _ in 0..<3000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = byte
                case 1: bytes.insert(byte, at: index)
                default: bytes.remove(at: index)
                }
            }
            let cut = Int.random(in: 0...bytes.count, using: &random)
            let whole = requests([bytes]).joined
            let pieces = requests([Array(bytes[..<cut]), Array(bytes[cut...])]).joined
            #expect(pieces == whole, "\(String(decoding: bytes, as: UTF8.self).debugDescription) cut at \(cut)")
        }
    }
}
