import Cloakroom

/// Decides whether the provider may be asked to refresh a session. A state machine without clock, lock or chance.
///
/// A session whose refresh failed is left alone for a step; steps double from one failure to the next. When the provider
/// fails for several sessions in a row, with no answer in between, it is taken to be down: then it is left alone for all
/// sessions, and after each step one session alone tries, until it answers. An answer makes all of them free at once.
struct RefreshBackoff: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// The right to ask the provider once.
    struct Attempt: Sendable, Equatable {
        let session: SessionHandle
        let number: UInt64
    }

    enum Permission: Sendable, Equatable {
        case granted(Attempt)
        /// The provider is to be left alone for this long.
        case refused(Duration)
    }

    enum Result: Sendable {
        /// The provider works, whether or not the session's refresh token is good.
        case answered
        /// It does not.
        case failed
        /// It was not asked in the end.
        case abandoned
    }

    private struct Pause {
        var failures: Int
        var end: Instant
    }

    private enum Provider {
        /// These sessions failed since the last answer.
        case up(failing: Set<SessionHandle>)
        /// The one attempt under way has this number.
        case down(failures: Int, end: Instant, probe: UInt64?)
    }

    /// In a row, for different sessions: one session that always fails does not stop the others.
    static let failingSessionsUntilDown = 3
    /// How much shorter a step may be than it is long: many processes that fail together don't come back together.
    static let jitter = 0.2

    private let firstStep: Duration
    private let longestStep: Duration
    private let mostSessions: Int
    private var provider = Provider.up(failing: [])
    private var pauses: [SessionHandle: Pause] = [:]
    private var lastNumber: UInt64 = 0

    /// - Parameter mostSessions: how many sessions are remembered at most.
    init(firstStep: Duration, longestStep: Duration, mostSessions: Int = 10_000) {
        // Never none at all: that would be a call for each request.
        self.firstStep = max(firstStep, .milliseconds(10))
        self.longestStep = max(self.firstStep, longestStep)
        self.mostSessions = mostSessions
    }

    /// How many sessions are remembered.
    var sessionCount: Int { pauses.count }

    /// How long the provider is to be left alone for this session; `nil` when it may be asked.
    func wait(for session: SessionHandle, now: Instant) -> Duration? {
        if case .down(_, let end, let probe) = provider {
            if now < end { return now.duration(to: end) }
            if probe != nil { return firstStep }
        }
        guard let pause = pauses[session], now < pause.end else { return nil }
        return now.duration(to: pause.end)
    }

    /// Asks for the right to ask the provider. Whoever is granted it says later what came of it.
    mutating func begin(_ session: SessionHandle, now: Instant) -> Permission {
        if let wait = wait(for: session, now: now) { return .refused(wait) }
        lastNumber += 1
        if case .down(let failures, let end, _) = provider {
            provider = .down(failures: failures, end: end, probe: lastNumber)
        }
        return .granted(Attempt(session: session, number: lastNumber))
    }

    /// Takes note of what came of an attempt.
    ///
    /// - Parameter chance: from 0 to 1.
    /// - Returns: whether the provider is taken to be down, or up, from now on; `nil` when that is as before.
    @discardableResult
    mutating func end(_ attempt: Attempt, _ result: Result, now: Instant, chance: Double) -> Bool? {
        switch result {
        case .answered:
            let wasDown = isDown
            // What failed while it was down says nothing of a session.
            if wasDown { pauses.removeAll() } else { pauses[attempt.session] = nil }
            provider = .up(failing: [])
            return wasDown ? false : nil
        case .failed:
            let failures = (pauses[attempt.session]?.failures ?? 0) + 1
            remember(attempt.session, Pause(failures: failures, end: now + step(failures, chance)), now: now)
            return providerFailed(attempt, now: now, chance: chance)
        case .abandoned:
            if case .down(let failures, let end, attempt.number) = provider {
                provider = .down(failures: failures, end: end, probe: nil)
            }
            return nil
        }
    }

    private var isDown: Bool {
        if case .down = provider { true } else { false }
    }

    private mutating func providerFailed(_ attempt: Attempt, now: Instant, chance: Double) -> Bool? {
        switch provider {
        case .up(var failing):
            failing.insert(attempt.session)
            guard failing.count >= Self.failingSessionsUntilDown else {
                provider = .up(failing: failing)
                return nil
            }
            provider = .down(failures: 1, end: now + step(1, chance), probe: nil)
            return true
        case .down(let failures, _, attempt.number):
            provider = .down(failures: failures + 1, end: now + step(failures + 1, chance), probe: nil)
            return nil
        case .down:
            // Begun before it was known that the provider is down: says nothing new.
            return nil
        }
    }

    private func step(_ failures: Int, _ chance: Double) -> Duration {
        let whole = min(firstStep * (1 << min(failures - 1, 20)), longestStep)
        return whole * (1 - Self.jitter * chance)
    }

    /// The memory is bounded: first those go whose pause is over, then any. One that is forgotten is asked for too early.
    private mutating func remember(_ session: SessionHandle, _ pause: Pause, now: Instant) {
        if pauses.count >= mostSessions, pauses[session] == nil {
            pauses = pauses.filter { $0.value.end > now }
            // A good part at once, so that it is not done for each.
            let rest = mostSessions - mostSessions / 8 - 1
            while pauses.count > rest, let any = pauses.keys.first { pauses[any] = nil }
        }
        pauses[session] = pause
    }
}
