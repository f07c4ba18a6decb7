import NIOCore
import Testing

@testable import CloakroomHTTP1

@Suite struct ResponseDecoderTests {
    @Test("bodies end where the head says")
    func framings() {
        #expect(
            responses("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") == [
                .head("200 OK", .length(2), keepsAlive: true), .body("ok"), .end,
            ])
        #expect(
            responses("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n") == [
                .head("200 ", .chunked, keepsAlive: true), .body("ok"), .end,
            ])
        #expect(
            responses("HTTP/1.0 200 OK\r\n\r\nok", closes: true) == [
                .head("200 OK", .untilClose, keepsAlive: false), .body("ok"), .end,
            ])
        #expect(
            responses("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", closes: true).last
                == .failure(.malformed(.cutOff)))
        #expect(responses("HTTP/1.1 200 OK\r\nConte", closes: true).last == .failure(.malformed(.cutOff)))
        for (status, head) in [("204 No Content", false), ("304 Not Modified", false), ("200 OK", true)] {
            #expect(
                responses("HTTP/1.1 \(status)\r\nContent-Length: 7\r\n\r\n", toHead: head) == [
                    .head(status, .none, keepsAlive: true), .end,
                ])
        }
    }

    @Test("R47, R48: what follows a response that nobody asked for is refused, and so is a switch of the protocol")
    func surplus() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        #expect(responses(ok + ok).last == .failure(.malformed(.surplus)))
        #expect(responses("HTTP/1.1 204 No Content\r\n\r\nx").last == .failure(.malformed(.surplus)))
        #expect(
            responses("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").last
                == .failure(.malformed(.switchedProtocol)))
    }

    @Test("interim responses come before the response, and not without end")
    func interim() {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        #expect(
            responses(hints + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == [
                .head("103 Early Hints", .none, keepsAlive: true), .head("200 OK", .none, keepsAlive: true), .end,
            ])
        #expect(responses(String(repeating: hints, count: 20)).last == .failure(.headTooLarge))
    }

    @Test(
        "R47: what is malformed or can be read in two ways is refused",
        arguments: [
            "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 600 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 O\u{1}K\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n",
        ])
    func refused(text: String) {
        guard case .failure? = responses(text).last else {
            Issue.record("\(responses(text))")
            return
        }
    }

    @Test("it makes no difference in which pieces the bytes come")
    func pieces() {
        let text = Array(
            ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3\r\nabc\r\n3\r\ndef\r\n0\r\nT: x\r\n\r\n").utf8)
        let whole = responses([text]).joined
        #expect(whole.suffix(2) == [.body("abcdef"), .end])
        for first in 0..<text.count {
            #expect(responses([Array(text[..<first]), Array(text[first...])]).joined == whole, "cut at \(first)")
        }
    }
}
