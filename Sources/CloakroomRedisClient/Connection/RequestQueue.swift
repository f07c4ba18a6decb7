import NIOCore
import Synchronization

/// Where callers leave requests and the connection fetches them, all that have come at once.
///
/// The first caller to find it idle is told to wake the connection; those who come before the connection has fetched add
/// to the same batch. So a burst of commands costs one wake-up and one write, without any timer or fixed batch size.
final class RequestQueue: Sendable {
    private enum Link {
        /// No connection, since when and why.
        case down(since: NIODeadline, error: RedisClientError)
        case up
        case shutDown
    }

    /// Whether requests stay in the queue though there is a connection.
    private enum Hold {
        case none
        case untilReleased
        /// The connection that is there now, or in the making, gets nothing more.
        case untilConnected
    }

    private struct State {
        var link: Link
        var hold = Hold.none
        var waiting: [RedisRequest] = []
        /// Whether the connection knows that there is something to fetch.
        var isAnnounced = false
    }

    /// What the caller has to do after leaving a request.
    enum EnqueueAction {
        case none
        case wakeConnection
        /// There is no connection; the request waits for one.
        case waitForConnection
        case fail(RedisClientError)
    }

    private let maximumCount: Int
    /// For how long after a connection was lost callers wait for the next one rather than fail at once.
    private let patience: TimeAmount
    private let state: Mutex<State>
    /// A copy of what `state` knows, to look at without a lock.
    let isUp = Atomic<Bool>(false)

    init(maximumCount: Int, patience: TimeAmount) {
        self.maximumCount = maximumCount
        self.patience = patience
        self.state = Mutex(
            State(link: .down(since: .now(), error: RedisClientError(.notConnected, reason: "not connected yet"))))
    }

    func enqueue(_ request: RedisRequest) -> EnqueueAction {
        state.withLock { state in
            switch state.link {
            case .shutDown:
                return .fail(RedisClientError(.shutDown, reason: "the Redis client was shut down"))
            case .down(let since, let error):
                guard NIODeadline.now() < since + patience else { return .fail(error) }
                guard state.waiting.count < maximumCount else { return .fail(Self.overloaded(maximumCount)) }
                state.waiting.append(request)
                return .waitForConnection
            case .up:
                guard state.waiting.count < maximumCount else { return .fail(Self.overloaded(maximumCount)) }
                state.waiting.append(request)
                guard !state.isAnnounced, state.hold == .none else { return .none }
                state.isAnnounced = true
                return .wakeConnection
            }
        }
    }

    /// Fetches all that waits and may be sent. The next request will wake the connection again.
    func fetch() -> [RedisRequest] {
        state.withLock { state in
            state.isAnnounced = false
            guard state.hold == .none else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
    }

    /// Takes out all that waits, for good.
    func takeAll() -> [RedisRequest] {
        state.withLock { state in
            state.isAnnounced = false
            defer { state.waiting = [] }
            return state.waiting
        }
    }

    // MARK: Holding

    /// Keeps requests here, those that come too, until they are released or their time is over.
    func hold() { state.withLock { $0.hold = .untilReleased } }

    /// Lets requests go on: over the next connection that is made, not over this one.
    func releaseWhenConnected() {
        state.withLock { if $0.hold != .none { $0.hold = .untilConnected } }
    }

    /// Lets requests go on.
    ///
    /// - Returns: whether to wake the connection.
    func release() -> Bool {
        state.withLock { state in
            state.hold = .none
            guard case .up = state.link, !state.waiting.isEmpty, !state.isAnnounced else { return false }
            state.isAnnounced = true
            return true
        }
    }

    /// Tells that a connection is there; it must fetch once by itself.
    ///
    /// - Returns: `false` when the client was shut down meanwhile.
    func connected() -> Bool {
        state.withLock { state in
            if case .shutDown = state.link { return false }
            state.link = .up
            if state.hold == .untilConnected { state.hold = .none }
            isUp.store(true, ordering: .relaxed)
            state.isAnnounced = true
            return true
        }
    }

    /// Tells that the connection is gone or an attempt has failed.
    ///
    /// - Parameter retrying: requests to send again, ahead of those that wait.
    /// - Returns: `false` when the client was shut down; then the caller has to fail `retrying`.
    func disconnected(_ error: RedisClientError, retrying: [RedisRequest]) -> Bool {
        state.withLock { state in
            isUp.store(false, ordering: .relaxed)
            switch state.link {
            case .shutDown: return false
            case .up: state.link = .down(since: .now(), error: error)
            case .down(let since, _): state.link = .down(since: since, error: error)
            }
            state.isAnnounced = false
            state.waiting = retrying + state.waiting
            return true
        }
    }

    /// Takes out what waits while there is no connection.
    func takeStranded() -> [RedisRequest] {
        state.withLock { state in
            guard case .down = state.link else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
    }

    /// Puts requests back, ahead of those that came meanwhile.
    ///
    /// - Returns: `false` when the client was shut down meanwhile; then the caller has to fail them.
    func putBack(_ requests: [RedisRequest]) -> Bool {
        state.withLock { state in
            if case .shutDown = state.link { return false }
            state.waiting = requests + state.waiting
            return true
        }
    }

    /// Refuses all further requests. What waits may still be fetched.
    func shutDown() {
        state.withLock { state in
            state.link = .shutDown
            // What waits shall be carried out, or fail, before the end.
            state.hold = .none
        }
    }

    var isShutDown: Bool {
        state.withLock { if case .shutDown = $0.link { true } else { false } }
    }

    /// Takes out the requests whose time is over, and those whose callers have left.
    func takeOverdue(now: NIODeadline) -> (requests: [RedisRequest], error: RedisClientError) {
        state.withLock { state in
            let error =
                if case .down(_, let error) = state.link { error } else {
                    RedisClientError(.timeout, reason: "Redis did not take the command in time")
                }
            guard state.waiting.contains(where: { $0.deadline <= now || !$0.isWaiting }) else { return ([], error) }
            let overdue = state.waiting.filter { $0.deadline <= now || !$0.isWaiting }
            state.waiting.removeAll { $0.deadline <= now || !$0.isWaiting }
            return (overdue, error)
        }
    }

    private static func overloaded(_ count: Int) -> RedisClientError {
        RedisClientError(.overloaded, reason: "\(count) commands wait for Redis already")
    }
}
