import Testing

import struct Foundation.Date

@testable import CloakroomHTTP

@Suite struct RecentLoginsTests {
    private let start = Date(timeIntervalSince1970: 1_700_000_000)

    /// The cookie after logins to this address, one each `pause` seconds; `nil` when one was too many.
    private func cookie(_ path: String, count: Int, pause: Double, after first: String? = nil) -> String? {
        var cookie = first
        for number in 0..<count {
            let now = start.addingTimeInterval(Double(number) * pause)
            guard let next = RecentLogins(cookie, at: now).adding(ReturnAddress(path), at: now) else { return nil }
            cookie = next
        }
        return cookie
    }

    @Test("R14: the sixth login to one address within five seconds is one too many; slower ones never are")
    func counts() {
        #expect(cookie("/x", count: 5, pause: 0) != nil && cookie("/x", count: 6, pause: 0) == nil)
        #expect(cookie("/x", count: 6, pause: 0.9) == nil)
        #expect(cookie("/x", count: 500, pause: 1.01) != nil)
    }

    @Test("R4: tabs that want other pages do not count, and hide no loop from sight")
    func tabs() throws {
        var cookie: String?
        for tab in 0..<200 {
            let next = RecentLogins(cookie, at: start).adding(ReturnAddress("/tab/\(tab)"), at: start)
            let value: String = try #require(next)
            #expect(value.utf8.count <= 300)
            cookie = value
        }
        // Three tabs go round at once.
        var rounds = 0
        while rounds < 10 {
            for path in ["/a", "/b", "/c"] {
                guard let next = RecentLogins(cookie, at: start).adding(ReturnAddress(path), at: start) else {
                    #expect(rounds == 5)
                    return
                }
                cookie = next
            }
            rounds += 1
        }
        Issue.record("the loop was not seen")
    }

    @Test("a cookie that is not ours counts for nothing, and nothing of it is kept")
    func foreign() throws {
        let now = Int(start.timeIntervalSince1970 * 1000)
        for text in [
            "", ".", "x", "abc", "....", String(repeating: "a", count: 100_000), "é.é", "abc-1",
            "abczzzzzzzzzzzzzzzzzz",
            "abc" + String(now - 5000, radix: 36), "abc" + String(now + 5000, radix: 36),
        ] {
            let value = try #require(RecentLogins(text, at: start).adding(ReturnAddress("/"), at: start))
            #expect(value.utf8.count == 3 + 8 && !value.contains("."), "\(text.prefix(20)) gives \(value)")
        }
    }

    @Test("what the cookie holds is fit for one")
    func alphabet() throws {
        let value = try #require(cookie("/x?y=z", count: 5, pause: 0.1))
        #expect(value.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) })
        #expect(CookieSettings.reservedNames.isSuperset(of: ["cloakroom_logins", "__Host-cloakroom_logins"]))
    }
}
