import Cloakroom
import Foundation
import Testing

@testable import CloakroomOIDC

@Suite("When a provider that fails may be asked again")
struct RefreshBackoffTests {
    private let start = ContinuousClock.now
    private let sessions = (0..<10).map { _ in SessionID().handle }

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

    private func make(mostSessions: Int = 100) -> RefreshBackoff {
        RefreshBackoff(firstStep: .seconds(1), longestStep: .seconds(30), mostSessions: mostSessions)
    }

    /// Asks at this time, and notes the result at once.
    @discardableResult
    private func ask(
        _ backoff: inout RefreshBackoff, _ session: SessionHandle, _ result: RefreshBackoff.Result, at time: Double,
        chance: Double = 0
    ) -> Bool {
        guard case .granted(let attempt) = backoff.begin(session, now: at(time)) else { return false }
        backoff.end(attempt, result, now: at(time), chance: chance)
        return true
    }

    @Test("R52: a session that fails alone is asked once per step, and steps double up to the longest")
    func steps() {
        var backoff = make()
        var calls: [Int] = []
        for time in 0..<200 where ask(&backoff, sessions[0], .failed, at: Double(time)) { calls.append(time) }
        #expect(calls == [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181])
        #expect(ask(&backoff, sessions[1], .answered, at: 199), "others go on")
    }

    @Test("R52: an answer frees the session")
    func answer() {
        var backoff = make()
        ask(&backoff, sessions[0], .failed, at: 0)
        #expect(backoff.wait(for: sessions[0], now: at(0.5)) == .seconds(0.5))
        #expect(ask(&backoff, sessions[0], .answered, at: 1))
        #expect(backoff.wait(for: sessions[0], now: at(1)) == nil)
        #expect(backoff.sessionCount == 0)
        ask(&backoff, sessions[0], .failed, at: 2)
        #expect(backoff.wait(for: sessions[0], now: at(2)) == .seconds(1), "steps begin anew")
    }

    @Test("R52: failures of several sessions stop all, and one at a time tries after each step")
    func providerDown() throws {
        var backoff = make()
        for session in sessions[0..<3] { #expect(ask(&backoff, session, .failed, at: 0)) }
        for session in sessions { #expect(!ask(&backoff, session, .failed, at: 0.9)) }
        guard case .granted(let probe) = backoff.begin(sessions[5], now: at(1)) else {
            Issue.record("nobody may try")
            return
        }
        for session in sessions { #expect(backoff.wait(for: session, now: at(1)) != nil) }
        backoff.end(probe, .failed, now: at(1), chance: 0)
        #expect(backoff.wait(for: sessions[6], now: at(1)) == .seconds(2))
        #expect(ask(&backoff, sessions[6], .answered, at: 3))
        for session in sessions { #expect(backoff.wait(for: session, now: at(3)) == nil, "all are free at once") }
    }

    @Test("R52: one session that always fails does not stop the others")
    func oneBadSession() {
        var backoff = make()
        for time in 0..<100 {
            ask(&backoff, sessions[0], .failed, at: Double(time))
            #expect(backoff.wait(for: sessions[1], now: at(Double(time))) == nil)
        }
    }

    @Test("R52: a trial that was not made frees its place, and a late failure says nothing new")
    func abandonedAndLate() {
        var backoff = make()
        guard case .granted(let late) = backoff.begin(sessions[9], now: at(0)) else {
            Issue.record("refused")
            return
        }
        for session in sessions[0..<3] { ask(&backoff, session, .failed, at: 0) }
        #expect(ask(&backoff, sessions[3], .abandoned, at: 1))
        guard case .granted(let probe) = backoff.begin(sessions[4], now: at(1)) else {
            Issue.record("the place is not free")
            return
        }
        backoff.end(late, .failed, now: at(1), chance: 0)
        #expect(backoff.wait(for: sessions[5], now: at(1)) != nil, "the trial is still under way")
        backoff.end(probe, .answered, now: at(1.5), chance: 0)
        #expect(backoff.wait(for: sessions[9], now: at(1.5)) == nil)
    }

    @Test("R52: steps are shortened by chance, a fifth at most")
    func jitter() {
        for chance in [0, 0.25, 0.5, 1] {
            var backoff = make()
            ask(&backoff, sessions[0], .failed, at: 0, chance: chance)
            let wait = backoff.wait(for: sessions[0], now: at(0)) ?? .zero
            #expect(abs(wait.inSeconds - (1 - 0.2 * chance)) < 0.000_001)
        }
    }

    @Test("R50: memory is bounded")
    func bounded() {
        var backoff = make(mostSessions: 64)
        for number in 0..<10_000 {
            let session = SessionID().handle
            ask(&backoff, session, .failed, at: Double(number))
            ask(&backoff, session, .failed, at: Double(number))
            #expect(backoff.sessionCount <= 64)
        }
    }

    @Test(
        "A token is due before its end, in the second half of its life at the earliest",
        arguments: [
            (300, 299.0, RefreshNeed.none), (300, 31, .none), (300, 29, .soon), (300, 3.5, .soon), (300, 2.5, .now),
            (300, 0, .overdue), (300, -5, .overdue), (4, 3.9, .none), (4, 1.9, .soon), (4, 0.9, .now),
            (4, 0, .overdue), (0, 0, .overdue),
        ])
    func need(life: Int, left: Double, expected: RefreshNeed) {
        let created = Date(timeIntervalSince1970: 1_700_000_000)
        let session = Session(
            tokens: TokenSet(accessToken: "opaque", expiresIn: life), userInfo: UserInfo(subject: "s"),
            createdAt: created, expiresAt: created.addingTimeInterval(3600))
        let now = created.addingTimeInterval(Double(life) - left)
        #expect(RefreshNeed(of: session, at: now, TokenRefresherConfiguration()) == expected)
    }

    @Test("A token whose end is unknown is never due")
    func unknownEnd() {
        let session = Session(
            tokens: TokenSet(accessToken: "opaque"), userInfo: UserInfo(subject: "s"), createdAt: .distantPast,
            expiresAt: .distantFuture)
        #expect(RefreshNeed(of: session, at: Date(), TokenRefresherConfiguration()) == .none)
    }
}
