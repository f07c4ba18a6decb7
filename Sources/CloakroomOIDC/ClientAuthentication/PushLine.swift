import Synchronization

/// Lets a few callers through at a time. Others wait in a line; who would wait too long, or finds it full, is turned away.
///
/// Anybody can begin logins, and each that is pushed is a request to the provider: they must not take the connections that
/// refreshes of users' tokens need. Nor must one client keep others waiting: the next is one of the client that has the fewest
/// through and then the fewest waiting, and a full line loses the last of the client that has the most in it.
final class PushLine: Sendable {
    private struct Waiter {
        let id: Int
        let client: String?
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var free: Int
        /// How many of each client are through.
        var through: [String?: Int] = [:]
        /// In the order of their coming.
        var waiting: [Waiter] = []
        var nextID = 0

        mutating func take(_ client: String?) {
            free -= 1
            through[client, default: 0] += 1
        }

        mutating func give(_ client: String?) {
            free += 1
            let rest = (through[client] ?? 0) - 1
            through[client] = rest > 0 ? rest : nil
        }

        private var waitingOfEach: [String?: Int] {
            waiting.reduce(into: [:]) { $0[$1.client, default: 0] += 1 }
        }

        /// Whose turn it is.
        mutating func nextWaiter() -> Waiter? {
            let counts = waitingOfEach
            func rank(_ waiter: Waiter) -> (Int, Int) { (through[waiter.client] ?? 0, counts[waiter.client] ?? 0) }
            let index = waiting.indices.min { rank(waiting[$0]) < rank(waiting[$1]) }
            return index.map { waiting.remove(at: $0) }
        }

        /// The last of the client that has the most waiting, if those are more than this one's.
        mutating func displaced(by client: String?) -> Waiter? {
            let counts = waitingOfEach
            guard let (greediest, most) = counts.max(by: { $0.value < $1.value }), most > counts[client] ?? 0,
                let index = waiting.lastIndex(where: { $0.client == greediest })
            else { return nil }
            return waiting.remove(at: index)
        }
    }

    private let state: Mutex<State>
    private let longest: Int

    /// - Parameters:
    ///   - places: how many may be through at once.
    ///   - waiting: how many may wait.
    init(places: Int = 4, waiting: Int = 256) {
        state = Mutex(State(free: places))
        longest = waiting
    }

    /// How many wait.
    var waitingCount: Int { state.withLock { $0.waiting.count } }

    /// Takes a place, or waits for one. Whoever got one calls ``leave(_:)``.
    ///
    /// - Parameter client: on whose behalf, such as an address; `nil` where nobody knows.
    /// - Returns: `false` if there is none within the time.
    func enter(_ client: String?, within limit: Duration) async -> Bool {
        let (id, isFree) = state.withLock { state -> (Int, Bool) in
            state.nextID += 1
            guard state.free > 0 else { return (state.nextID, false) }
            state.take(client)
            return (state.nextID, true)
        }
        if isFree { return true }
        let timer = Task {
            try await Task.sleep(for: limit)
            giveUp(id)
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            let waiter = Waiter(id: id, client: client, continuation: continuation)
            let (answered, answer) = state.withLock { state -> (Waiter?, Bool) in
                if state.free > 0 {
                    state.take(client)
                    return (waiter, true)
                }
                guard state.waiting.count >= longest else {
                    state.waiting.append(waiter)
                    return (nil, false)
                }
                guard let displaced = state.displaced(by: client) else { return (waiter, false) }
                state.waiting.append(waiter)
                return (displaced, false)
            }
            answered?.continuation.resume(returning: answer)
        }
    }

    /// Gives a place back, for the next who waits.
    ///
    /// - Parameter client: the one that it was taken for.
    func leave(_ client: String?) {
        let next = state.withLock { state -> Waiter? in
            state.give(client)
            let next = state.nextWaiter()
            if let next { state.take(next.client) }
            return next
        }
        next?.continuation.resume(returning: true)
    }

    private func giveUp(_ id: Int) {
        let waiter = state.withLock { state -> Waiter? in
            guard let index = state.waiting.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiting.remove(at: index)
        }
        waiter?.continuation.resume(returning: false)
    }
}
