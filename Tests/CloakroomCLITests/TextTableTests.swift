import Cloakroom
import Foundation
import Testing

@testable import CloakroomCLI

@Suite struct TextTableTests {
    private static let handle = "0123456789abcdef01234567"

    private func table(_ user: String = "alice", device: String = "Firefox, Windows", rows: Int = 1) -> TextTable {
        let now = Date(timeIntervalSince1970: 1_764_230_400)
        let id = SessionID()
        let summary = SessionSummary(
            handle: id.handle, subject: "s", userName: user, providerSessionID: nil,
            client: SessionClient(userAgent: device, address: "2001:db8:1234:5678:9abc:def0:1234:5678"),
            createdAt: now.addingTimeInterval(-3700), expiresAt: now.addingTimeInterval(7 * 3600 + 90),
            lastSeenAt: now.addingTimeInterval(-61))
        return SessionsListCommand.table(Array(repeating: summary, count: rows), at: now)
    }

    @Test("without a terminal nothing is cut or left out")
    func unlimited() {
        let lines = table(String(repeating: "n", count: 300)).lines(width: nil)
        #expect(lines[0].hasPrefix("HANDLE") && lines[0].hasSuffix("ADDRESS"))
        #expect(lines[1].contains(String(repeating: "n", count: 300)))
        #expect(lines[1].hasSuffix("5678"))
        #expect(lines[1].contains("2025-11-27 06:58") && lines[1].contains("7h 1m") && lines[1].contains("1m 1s"))
    }

    @Test("at any width it fits, and the handle is never cut", arguments: [24, 30, 40, 60, 79, 80, 100, 120, 200])
    func widths(_ width: Int) throws {
        let lines = table(String(repeating: "n", count: 300), rows: 3).lines(width: width)
        for line in lines { #expect(TextTable.width(line) <= width, "\(line)") }
        let handle = try #require(lines[1].split(separator: " ").first)
        #expect(SessionHandle(String(handle)) != nil)
    }

    @Test("with 80 columns who, since when, how long and on what are there")
    func usual() {
        let heading = table().lines(width: 80)[0]
        for column in ["HANDLE", "USER", "BEGAN (UTC)", "LEFT", "DEVICE"] { #expect(heading.contains(column)) }
    }

    @Test("what a terminal would carry out or turn around is shown as an escape")
    func escapes() {
        let lines = table("a\u{1B}[2Jb\u{202E}c\u{9B}31m\n\u{2028}", device: "x\u{7}y").lines(width: nil)
        #expect(lines.count == 2)
        #expect(lines[1].contains(#"a\u{1b}[2Jb\u{202e}c\u{9b}31m\u{a}\u{2028}"#))
        #expect(lines[1].contains(#"x\u{7}y"#))
    }

    @Test("letters that take two columns are counted so")
    func wideLetters() {
        for line in table(String(repeating: "山", count: 40)).lines(width: 80) { #expect(TextTable.width(line) <= 80) }
    }

    @Test("JSON has no character that a terminal would carry out, and means the same")
    func json() throws {
        let name = "a\u{9B}31m\u{202E}\u{7F}\u{E0001}\u{1B}\"é山"
        let text = SessionText.json(["name": .string(name)])
        #expect(!text.unicodeScalars.contains { $0.value == 0x9B || $0.value == 0x202E || $0.value == 0x7F })
        #expect(text.contains(#"\u009b31m\u202e\u007f\udb40\udc01\u001b\""#) && text.contains("é山"))
        #expect(try JSONValue(parsing: Array(text.utf8)) == .object(["name": .string(name)]))
    }

    @Test("times, devices and bars for people")
    func texts() {
        #expect(SessionText.duration(0) == "0s" && SessionText.duration(-5) == "0s")
        #expect(SessionText.duration(3600) == "1h" && SessionText.duration(90_061) == "1d 1h")
        #expect(SessionText.device(nil) == "-")
        #expect(
            SessionText.device("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0")
                == "Edge, Windows")
        #expect(SessionText.device("curl/8.5.0") == "curl/8.5.0")
        #expect(Progress.line("counted", 5, share: nil) == "counted: 5")
        #expect(Progress.line("counted", 5, share: 0.5).contains("50% 5"))
        #expect(Progress.line("counted", 5, share: 7).contains("[##############################] 100%"))
    }
}
