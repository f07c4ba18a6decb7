import Cloakroom
import Synchronization

/// How many requests may be with the upstream at once: in all, and of one session, so that nobody's can use up what others
/// need (R50). A request beyond that waits for a place for a while; not more requests may wait than may be served.
final class UpstreamPlaces: Sendable {
    /// How long a request waits for a place.
    static let patience = Duration.seconds(5)

    /// A place is free again when nobody holds this any more, however its exchange ended.
    final class Place: Sendable {
        private let places: UpstreamPlaces
        private let session: SessionHandle

        fileprivate init(_ places: UpstreamPlaces, _ session: SessionHandle) {
            self.places = places
            self.session = session
        }

        deinit { places.giveBack(session) }
    }

    private let table: Mutex<UpstreamPlaceTable<CheckedContinuation<Bool, Never>>>

    init(limit: Int, perSession: Int) {
        table = Mutex(UpstreamPlaceTable(limit: limit, perSession: perSession))
    }

    /// A place for a request of this session.
    ///
    /// - Returns: `nil` when none got free in time, or too many wait already.
    func take(for session: SessionHandle) async throws -> Place? {
        if table.withLock({ $0.take(session) }) { return Place(self, session) }
        guard let number = table.withLock({ $0.nextNumber() }) else { return nil }
        let timer = Task {
            try await Task.sleep(for: Self.patience)
            giveUp(number)
        }
        defer { timer.cancel() }
        let isGranted = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = table.withLock { table -> Bool? in
                    // Cancelled before it waits, it must not wait at all: the handler has run already.
                    if Task.isCancelled { return false }
                    return table.wait(continuation, number, for: session)
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            giveUp(number)
        }
        let place = isGranted ? Place(self, session) : nil
        try Task.checkCancellation()
        return place
    }

    private func giveUp(_ number: UInt64) {
        table.withLock { $0.removeWaiter(number) }?.resume(returning: false)
    }

    private func giveBack(_ session: SessionHandle) {
        table.withLock { $0.giveBack(session) }?.resume(returning: true)
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
