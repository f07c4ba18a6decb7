import Synchronization

import struct Foundation.Date

/// What happens to sessions, as one stream that any number of listeners take.
///
/// Give one to the store and to whoever refreshes tokens. A process hears of what it does itself, and of the end of each
/// session that it has read lately, whoever ended it: with a near cache over Redis, within 100 ms.
///
/// ```swift
/// let events = SessionEvents()
/// events.add(SessionEventLog(logger: logger))
/// configuration.events = events                       // of the store
/// for await event in events.stream() { … }            // in a task of its own
/// ```
public final class SessionEvents: Sendable {
    /// What an end in progress is about, so that the report of it is not taken for another's doing.
    package enum Subject: Hashable, Sendable {
        case session(SessionHandle)
        case user(UserIdentity)
        case providerSession(ProviderSession)
        case all
    }

    /// How many ends are remembered, so that none is said twice.
    private static let maximumRemembered = 16_384

    private struct State {
        var listeners: [any SessionEventListener] = []
        var streams: [UInt64: StreamBuffer] = [:]
        var nextStream: UInt64 = 0
        /// The sessions that were said to have ended, the oldest first to be forgotten.
        var ended: Set<SessionHandle> = []
        var endedInOrder: [SessionHandle] = []
        var oldestEnded = 0
        var ending: [Subject: (reason: SessionEndReason, count: Int)] = [:]

        /// - Returns: `false` when it was noted before.
        mutating func noteEnd(of session: SessionHandle) -> Bool {
            guard ended.insert(session).inserted else { return false }
            if endedInOrder.count < SessionEvents.maximumRemembered {
                endedInOrder.append(session)
            } else {
                ended.remove(endedInOrder[oldestEnded])
                endedInOrder[oldestEnded] = session
                oldestEnded = (oldestEnded + 1) % endedInOrder.count
            }
            return true
        }
    }

    private let state = Mutex(State())

    /// Makes a stream that nobody listens to yet.
    public init() {}

    // MARK: Listening

    /// Adds a listener for good. It is called where the event happens, so it must be quick and must not wait.
    public func add(_ listener: some SessionEventListener) {
        state.withLock { $0.listeners.append(listener) }
    }

    /// The events from now on, for a task that takes its time. A listener that is behind by more than `capacity` events
    /// loses the newest ones, and is told of that by ``SessionEvent/Kind/missed(count:)``.
    public func stream(capacity: Int = 4096) -> AsyncStream<SessionEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: SessionEvent.self, bufferingPolicy: .bufferingOldest(max(1, capacity)))
        let number = state.withLock { state in
            state.nextStream += 1
            state.streams[state.nextStream] = StreamBuffer(continuation)
            return state.nextStream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.streams.removeValue(forKey: number) }
        }
        return stream
    }

    // MARK: Telling

    /// Tells all listeners. The end of a session that was told already is not told again.
    public func emit(_ event: SessionEvent) {
        let listeners: [any SessionEventListener]? = state.withLock { state in
            if case .ended = event.kind, let session = event.session, !state.noteEnd(of: session) { return nil }
            for number in Array(state.streams.keys) { state.streams[number]?.yield(event) }
            return state.listeners
        }
        for listener in listeners ?? [] { listener.receive(event) }
    }

    /// Notes that this process is about to end sessions, and why. Each call needs one of ``finish(_:)``.
    package func begin(_ subject: Subject, _ reason: SessionEndReason) {
        state.withLock { state in
            let count = state.ending[subject]?.count ?? 0
            state.ending[subject] = (reason, count + 1)
        }
    }

    package func finish(_ subject: Subject) {
        state.withLock { state in
            guard let ending = state.ending[subject] else { return }
            state.ending[subject] = ending.count > 1 ? (ending.reason, ending.count - 1) : nil
        }
    }

    /// Tells of a session that was found to be over. If this process is ending it just now, that is why.
    ///
    /// - Parameter reason: what else the reason is.
    package func foundEnded(
        _ handle: SessionHandle, user: UserIdentity?, providerSession: ProviderSession?,
        otherwise reason: SessionEndReason
    ) {
        let subjects: [Subject?] = [
            .session(handle), user.map(Subject.user), providerSession.map(Subject.providerSession), .all,
        ]
        let known = state.withLock { state in
            for case let subject? in subjects {
                if let ending = state.ending[subject] { return ending.reason as SessionEndReason? }
            }
            return nil
        }
        emit(SessionEvent(.ended(known ?? reason), session: handle, user: user))
    }
}

/// One listener's part of the stream, bounded. Its owner has the lock.
private struct StreamBuffer {
    private let continuation: AsyncStream<SessionEvent>.Continuation
    private var missed = 0

    init(_ continuation: AsyncStream<SessionEvent>.Continuation) { self.continuation = continuation }

    mutating func yield(_ event: SessionEvent) {
        if missed > 0 {
            guard case .enqueued = continuation.yield(SessionEvent(.missed(count: missed))) else {
                missed += 1
                return
            }
            missed = 0
        }
        if case .dropped = continuation.yield(event) { missed += 1 }
    }
}
