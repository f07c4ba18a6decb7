import Cloakroom
import Foundation
import NIOCore

/// A session that has event streams on one loop, and when it is to be looked at again.
final class StreamedSession {
    /// How long before its end pages are warned.
    private static let warning: TimeInterval = 120
    /// How often a session is looked at whose changes are heard of: a net below the net.
    private static let interval = TimeAmount.seconds(20)
    /// How often one whose changes are not heard of.
    private static let shortInterval = TimeAmount.seconds(5)
    /// Redis and this process need not agree to the millisecond when a session ends.
    private static let slack: TimeInterval = 0.3

    let id: SessionID
    let handle: SessionHandle
    var streams: [LiveExchange] = []
    /// Whether it is in line to be looked at, or is being looked at.
    var isBeingLookedAt = false
    /// Something happened meanwhile.
    var needsAnotherLook = false
    /// Nothing is told of it any more.
    var isOver = false
    private(set) var nextLook = NIODeadline.distantFuture

    /// What the last look found; without the session's tokens, which nobody here needs.
    private(set) var facts: Facts?
    /// How often in a row a look failed.
    private var failures = 0
    /// How often in a row a look found that changes are not heard of.
    private var unheard = 0

    struct Facts {
        let endsAt: Date
        let expiresAt: Date
        let limit: SessionEndReason
        /// How long before its end pages are warned: less for sessions that are short by their settings.
        let warning: TimeInterval
        let refreshedAt: Date?
        let user: UserIdentity?
        let providerSession: ProviderSession?

        init(_ peeked: PeekedSession, _ policy: SessionPolicy) {
            endsAt = peeked.endsAt
            expiresAt = peeked.session.expiresAt
            limit = peeked.limit
            refreshedAt = peeked.session.refreshedAt
            user = peeked.session.user
            providerSession = peeked.session.providerSession
            let span =
                limit == .idle
                ? policy.idleTimeout.map { $0 / .seconds(1) } ?? 0
                : peeked.session.expiresAt.timeIntervalSince(peeked.session.createdAt)
            warning = min(StreamedSession.warning, span / 2)
        }

        /// How many seconds are left, rounded up.
        func secondsLeft(_ now: Date = Date()) -> Int { max(0, Int(endsAt.timeIntervalSince(now).rounded(.up))) }

        /// Whether pages should know by now that the end is near.
        func isEndNear(_ now: Date = Date()) -> Bool { endsAt.timeIntervalSince(now) <= warning }

        /// Why the session is over that is no longer there.
        func endReason(_ now: Date = Date()) -> SessionEndReason {
            if expiresAt.timeIntervalSince(now) <= StreamedSession.slack { return .absolute }
            return endsAt.timeIntervalSince(now) <= StreamedSession.slack ? .idle : .elsewhere
        }
    }

    init(_ presented: PresentedSession) {
        id = presented.id
        handle = presented.handle
    }

    /// Takes what a look found, tells the streams of it, and decides when the next look is due.
    ///
    /// - Parameters:
    ///   - isHeard: whether changes that others make are heard of; `nil` if the store never hears of them.
    func found(_ peeked: PeekedSession, _ policy: SessionPolicy, isHeard: Bool?, now: NIODeadline) {
        let facts = Facts(peeked, policy)
        let isRefreshed = self.facts.map { $0.refreshedAt != facts.refreshedAt } ?? false
        self.facts = facts
        failures = 0
        unheard = isHeard == false ? unheard + 1 : 0
        for stream in Array(streams) { stream.found(facts, isRefreshed: isRefreshed) }
        let left = facts.endsAt.timeIntervalSinceNow
        var pause = Self.interval
        if let isHeard { if !isHeard { pause = Self.backOff(unheard, first: 100) } } else { pause = Self.shortInterval }
        pause = min(pause, left > 0 ? Self.time(left + Self.slack) : .seconds(1))
        if !facts.isEndNear() { pause = min(pause, Self.time(left - facts.warning)) }
        nextLook = now + max(pause, .milliseconds(100))
    }

    /// A look failed: the session may live or not.
    func failed(now: NIODeadline) {
        failures += 1
        nextLook = now + Self.backOff(failures, first: 1000)
    }

    /// - Parameter first: the first pause in milliseconds; each further one is twice as long, up to eight seconds or so.
    private static func backOff(_ times: Int, first: Int64) -> TimeAmount {
        let longest = min(first << Int64(min(times - 1, 10)), 8000)
        return .milliseconds(.random(in: longest / 2...longest))
    }

    private static func time(_ seconds: TimeInterval) -> TimeAmount {
        .milliseconds(Int64(min(seconds, 86_400) * 1000))
    }
}
