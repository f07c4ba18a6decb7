import NIOCore
import Synchronization

/// One call in progress: the commands that it sends together, and the caller that waits.
///
/// A caller can leave at any time (cancellation, timeout). The commands that were sent stay in their place on the
/// connection, and their replies, when they come, find no one: that is what lets a call end without harm to the others.
final class RedisRequest: Sendable {
    /// Unchecked continuations: `state` hands each out exactly once, and a checked one costs an allocation a command.
    enum Waiter: Sendable {
        case one(UnsafeContinuation<RESPValue, any Error>)
        case many(UnsafeContinuation<[RESPValue], any Error>)
        /// No one waits; that the reply comes is all that matters.
        case nobody

        func fail(_ error: any Error) {
            switch self {
            case .one(let continuation): continuation.resume(throwing: error)
            case .many(let continuation): continuation.resume(throwing: error)
            case .nobody: break
            }
        }
    }

    private enum State {
        case idle
        /// Failed before the caller's continuation was there.
        case failed(any Error)
        case waiting(Waiter)
        case left
    }

    /// What a request sends; a single command, as nearly all are, without an array.
    enum Payload: Sendable {
        case one(RedisCommand)
        case many([RedisCommand])

        var count: Int {
            switch self {
            case .one: 1
            case .many(let commands): commands.count
            }
        }

        var isIdempotent: Bool {
            switch self {
            case .one(let command): command.isIdempotent
            case .many(let commands): commands.isIdempotentAsGroup
            }
        }

        func encode(into buffer: inout ByteBuffer) {
            switch self {
            case .one(let command): command.encode(into: &buffer)
            case .many(let commands): for command in commands { command.encode(into: &buffer) }
            }
        }
    }

    let payload: Payload
    let deadline: NIODeadline
    private let state = Mutex(State.idle)
    private let retries = Atomic<Int>(0)
    private let wasSent = Atomic<Bool>(false)

    init(_ payload: Payload, deadline: NIODeadline) {
        self.payload = payload
        self.deadline = deadline
    }

    /// How often a request is sent again. More than once, as a server that ends takes all connections with it, and the
    /// one that a request is given to may be as good as dead itself.
    private static let maximumRetries = 3

    /// Whether to send it again after a connection was lost, also for the first time; asking uses up one of its retries.
    func claimRetry(now: NIODeadline) -> Bool {
        guard isWaiting, deadline > now, payload.isIdempotent || !wasSent.load(ordering: .relaxed) else { return false }
        return retries.add(1, ordering: .relaxed).newValue <= Self.maximumRetries
    }

    /// Tells that it is being written to a connection.
    func noteSent() { wasSent.store(true, ordering: .relaxed) }

    /// Fails the call; the error tells whether the commands may have been carried out.
    func end(_ error: RedisClientError) { fail(error.ending(wasSent: wasSent.load(ordering: .relaxed))) }

    /// Whether someone still waits for the replies.
    var isWaiting: Bool {
        state.withLock { if case .waiting = $0 { true } else { false } }
    }

    /// Takes the caller's continuation.
    ///
    /// - Returns: `false` if the call failed or was cancelled before it began; then the continuation was resumed.
    func begin(_ waiter: Waiter) -> Bool {
        let failure: (any Error)? = state.withLock { state in
            if case .failed(let error) = state {
                state = .left
                return error
            }
            state = .waiting(waiter)
            return nil
        }
        guard let failure else { return true }
        waiter.fail(failure)
        return false
    }

    func succeed(_ replies: RESPReplies) {
        switch leave() {
        case .one(let continuation): continuation.resume(returning: replies.first ?? .null)
        case .many(let continuation): continuation.resume(returning: replies.all)
        case .nobody, nil: break
        }
    }

    func fail(_ error: any Error) {
        let waiter: Waiter? = state.withLock { state in
            switch state {
            case .idle:
                state = .failed(error)
                return nil
            case .waiting(let waiter):
                state = .left
                return waiter
            case .failed, .left:
                return nil
            }
        }
        waiter?.fail(error)
    }

    private func leave() -> Waiter? {
        state.withLock { state in
            defer { state = .left }
            if case .waiting(let waiter) = state { return waiter }
            return nil
        }
    }
}

/// The replies to one request: one in nearly all cases, and then without an array.
struct RESPReplies {
    private(set) var first: RESPValue?
    private var rest: [RESPValue] = []

    init() {}
    init(_ only: RESPValue) { first = only }

    mutating func append(_ value: RESPValue) {
        if first == nil { first = value } else { rest.append(value) }
    }

    var all: [RESPValue] { (first.map { [$0] } ?? []) + rest }
    var count: Int { rest.count + (first == nil ? 0 : 1) }
}
