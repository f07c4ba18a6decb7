import Cloakroom
import CloakroomHTTP
import Foundation
import HTTPTypes
import Logging
import Synchronization
import Testing

@testable import CloakroomGateway

@Suite struct PagesTests {
    private static let hostile = "<script>alert(1)</script>\"\u{301} onload='x' &amp; {{title}}"

    private func pages() throws -> Pages {
        try Pages(providerName: Self.hostile, replicaName: Self.hostile, hasUpstream: true)
    }

    private func isEscaped(_ html: String) -> Bool {
        let text = html.unicodeScalars.split(separator: "alert(1)".unicodeScalars)
        return !html.contains("<script>alert") && text.count > 1
            && !String(String.UnicodeScalarView(html.unicodeScalars.filter { $0 != "\u{301}" })).contains("\" onload=")
    }

    @Test("R45: whatever is put into a page is escaped")
    func escaping() throws {
        let pages = try pages()
        #expect(isEscaped(pages.landing()))
        var info = UserInfo(subject: "s", email: Self.hostile, name: Self.hostile, preferredUsername: Self.hostile)
        info["x"] = "y"
        let now = Date()
        let session = Session(
            tokens: TokenSet(accessToken: "the-access-token", refreshToken: "the-refresh-token"), userInfo: info,
            createdAt: now, expiresAt: now.addingTimeInterval(60))
        let id = SessionID()
        let page = pages.user(LiveSession(id: id, session: session))
        #expect(isEscaped(page))
        #expect(page.contains(id.handle.description) && !page.contains(id.secret) && !page.contains("-token"))
        let error = ErrorPage(
            status: .badRequest, title: Self.hostile, message: Self.hostile, requestID: Self.hostile,
            action: .init(label: Self.hostile, path: Self.hostile, isForm: true))
        #expect(isEscaped(pages.html(for: error)))
        let entry = UserSessionsPage.Entry(
            handle: id.handle, isCurrent: false, began: now, lastUsed: now, ends: now, device: Self.hostile,
            address: Self.hostile, provider: Self.hostile)
        let sessions = UserSessionsPage(entries: [entry], hiddenCount: 1)
        #expect(isEscaped(pages.html(for: sessions)) && isEscaped(PlainErrorPages().html(for: sessions)))
        #expect(isEscaped(pages.landing(notice: Self.hostile)))
    }

    @Test("The user page shows times in UTC")
    func times() throws {
        let session = Session(
            tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"),
            createdAt: Date(timeIntervalSince1970: 1_705_314_600), expiresAt: Date(timeIntervalSince1970: 1_705_343_400)
        )
        let page = try pages().user(LiveSession(id: SessionID(), session: session))
        #expect(page.contains("2024-01-15 10:30 UTC") && page.contains("2024-01-15 18:30 UTC"))
    }

    @Test("R46: a log line stays one line, and JSON stays JSON", arguments: GatewaySettings.LogFormat.allCases)
    func logLines(format: GatewaySettings.LogFormat) throws {
        let lines = LinesBox()
        var logger = Logger(label: "l") { label in
            LineLogHandler(label: label, level: .info, format: format) { lines.add($0) }
        }
        logger[metadataKey: "k\n"] = "v\r\nforged \u{1b}[31m \"q\" \u{85}"
        logger.info("message\nforged", metadata: ["n": "1"])
        logger.debug("not shown")
        let line = try #require(lines.all.first)
        #expect(lines.all.count == 1 && line.hasSuffix("\n"))
        #expect(line.dropLast().unicodeScalars.allSatisfy { $0.value >= 0x20 })
        if format == .json {
            let object = try JSONValue(parsing: Array(line.utf8)).object
            #expect(object?["message"]?.string == "message\nforged" && object?["n"]?.string == "1")
            #expect(object?["level"]?.string == "info")
        } else {
            #expect(line.contains(" INFO message\\u{a}forged ") && line.contains("n=1"))
        }
    }

    @Test(
        "R46: no value in a text line can end early and forge another",
        arguments: [
            ("plain", "plain"), ("", "\"\""), ("a b", "\"a b\""), ("a=\u{301}b", "\"a=\u{301}b\""),
            ("x\\\" status=200", "\"x\\\\\\\" status=200\""), ("\\", "\"\\\\\""), ("a\n", "a\\u{a}"),
            // A mark that combines with the character before makes another character of it, but not another byte.
            ("x\\\u{338}\"\u{301} b=1", "\"x\\\\\u{338}\\\"\u{301} b=1\""), ("a\n\u{301}", "a\\u{a}\u{301}"),
            ("a\u{2028}\u{202E}b", "a\\u{2028}\\u{202e}b"),
        ])
    func quoting(value: String, shown: String) throws {
        let lines = LinesBox()
        let logger = Logger(label: "l") { label in
            LineLogHandler(label: label, level: .info, format: .text) { lines.add($0) }
        }
        logger.info("m", metadata: ["v": "\(value)"])
        #expect(lines.all.first?.hasSuffix(" m v=\(shown)\n") == true)
    }

    final class LinesBox: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }
}
