import Cloakroom
import Synchronization

/// How many requests may be with the upstream at once: in all, and of one session, so that nobody's can use up what others
/// need (R50). A request beyond that may wait for a place; not more requests may wait than may be served.
///
/// All event loops share it. Whoever has a place gives it back, once.
final class UpstreamPlaces: Sendable {
    /// What came of waiting for a place.
    enum Wait: Equatable {
        case granted
        /// The grant comes later; ``giveUp(_:)`` ends the wait.
        case waiting(UInt64)
        /// Too many wait already.
        case refused
    }

    private let table: Mutex<UpstreamPlaceTable<@Sendable () -> Void>>

    init(limit: Int, perSession: Int) {
        table = Mutex(UpstreamPlaceTable(limit: limit, perSession: perSession))
    }

    /// How many places are taken, and how many requests wait.
    var counts: (taken: Int, waiting: Int) { table.withLock { $0.counts } }

    /// Takes a place for a request of this session if one is free.
    func take(for session: SessionHandle) -> Bool { table.withLock { $0.take(session) } }

    /// Waits for a place for a request of this session.
    ///
    /// - Parameter onGrant: called later, on whichever thread gives a place back.
    func wait(for session: SessionHandle, onGrant: @escaping @Sendable () -> Void) -> Wait {
        table.withLock { table in
            guard let number = table.nextNumber() else { return .refused }
            return switch table.wait(onGrant, number, for: session) {
            case nil: .waiting(number)
            case true?: .granted
            case false?: .refused
            }
        }
    }

    /// Ends a wait.
    ///
    /// - Returns: `false` when the place was granted already: it must be given back.
    func giveUp(_ number: UInt64) -> Bool { table.withLock { $0.removeWaiter(number) } != nil }

    /// Frees a place.
    func giveBack(_ session: SessionHandle) {
        table.withLock { $0.giveBack(session) }?()
    }
}

/// Who has a place, and who waits for one. A state machine without clock or lock.
struct UpstreamPlaceTable<Waiter> {
    private let limit: Int
    private let perSession: Int
    private var taken = 0
    private var takenBySession: [SessionHandle: Int] = [:]
    /// In the order of arrival.
    private var waiters: [(number: UInt64, session: SessionHandle, waiter: Waiter)] = []
    private var waitingBySession: [SessionHandle: Int] = [:]
    private var lastNumber: UInt64 = 0

    init(limit: Int, perSession: Int) {
        self.limit = max(1, limit)
        self.perSession = max(1, min(perSession, limit))
    }

    /// How many places are taken, and how many requests wait.
    var counts: (taken: Int, waiting: Int) { (taken, waiters.count) }

    private func mayTake(_ session: SessionHandle) -> Bool {
        taken < limit && takenBySession[session, default: 0] < perSession
    }

    private mutating func occupy(_ session: SessionHandle) {
        taken += 1
        takenBySession[session, default: 0] += 1
    }

    /// - Returns: whether the session has one more place now.
    mutating func take(_ session: SessionHandle) -> Bool {
        guard mayTake(session) else { return false }
        occupy(session)
        return true
    }

    /// A number for one who is to wait; `nil` when as many wait as may.
    mutating func nextNumber() -> UInt64? {
        guard waiters.count < limit else { return nil }
        lastNumber += 1
        return lastNumber
    }

    /// Adds one who waits.
    ///
    /// - Returns: `true` when a place was free by now, `false` when too many wait already.
    mutating func wait(_ waiter: Waiter, _ number: UInt64, for session: SessionHandle) -> Bool? {
        if take(session) { return true }
        guard waiters.count < limit, waitingBySession[session, default: 0] < perSession else { return false }
        waiters.append((number, session, waiter))
        waitingBySession[session, default: 0] += 1
        return nil
    }

    /// - Returns: the waiter, unless it has got its place already.
    mutating func removeWaiter(_ number: UInt64) -> Waiter? {
        waiters.firstIndex { $0.number == number }.map { remove(at: $0) }
    }

    /// Frees a place.
    ///
    /// - Returns: who has it now: the first whose session may have one more.
    mutating func giveBack(_ session: SessionHandle) -> Waiter? {
        taken -= 1
        Self.decrement(&takenBySession, session)
        guard let index = waiters.firstIndex(where: { mayTake($0.session) }) else { return nil }
        occupy(waiters[index].session)
        return remove(at: index)
    }

    private mutating func remove(at index: Int) -> Waiter {
        let (_, session, waiter) = waiters.remove(at: index)
        Self.decrement(&waitingBySession, session)
        return waiter
    }

    private static func decrement(_ counts: inout [SessionHandle: Int], _ session: SessionHandle) {
        let count = counts[session, default: 0] - 1
        counts[session] = count > 0 ? count : nil
    }
}
