import DequeModule

/// What one connection owes to whom: requests in the order in which they were written, each with the replies that it still
/// waits for.
///
/// It does no I/O and knows no time; its owner tells it what happened and does what it answers.
struct ConnectionStateMachine<Request> {
    private struct InFlight {
        let request: Request
        let expected: Int
        var replies: RESPReplies?
    }

    private enum State {
        case open
        case draining
        case closed
    }

    /// What to do with something received.
    enum ReceiveAction {
        /// Part of an answer; more is to come.
        case wait
        /// The answer to this request is complete.
        case answer(Request, RESPReplies)
        /// A message that no one asked for.
        case push([RESPValue])
        /// A reply without a request: the server is out of step, and every later reply would go to the wrong caller.
        case close
    }

    private var state = State.open
    private var inFlight: Deque<InFlight> = []

    /// How many requests wait for replies.
    var inFlightCount: Int { inFlight.count }

    /// Visits the requests that wait for replies, oldest first, until `body` returns `false`.
    func forEachInFlight(_ body: (Request) -> Bool) {
        for entry in inFlight {
            guard body(entry.request) else { return }
        }
    }

    /// Whether nothing more will be written and all is answered.
    var isDrained: Bool { state == .draining && inFlight.isEmpty }

    /// Tells that a request was written whose commands will get this many replies.
    ///
    /// - Returns: `false` when nothing may be written any more.
    mutating func write(_ request: Request, expecting count: Int) -> Bool {
        guard state == .open else { return false }
        inFlight.append(InFlight(request: request, expected: count, replies: nil))
        return true
    }

    mutating func receive(_ value: RESPValue) -> ReceiveAction {
        if case .push(let elements) = value { return .push(elements) }
        guard state != .closed, !inFlight.isEmpty else { return .close }
        if inFlight[0].expected == 1 {
            return .answer(inFlight.removeFirst().request, RESPReplies(value))
        }
        var replies = inFlight[0].replies.take() ?? RESPReplies()
        replies.append(value)
        guard replies.count == inFlight[0].expected else {
            inFlight[0].replies = replies
            return .wait
        }
        return .answer(inFlight.removeFirst().request, replies)
    }

    /// Tells that nothing more shall be written, while replies still come.
    mutating func drain() {
        if state == .open { state = .draining }
    }

    /// Tells that the connection is gone.
    ///
    /// - Returns: the requests that got no answer, oldest first.
    mutating func close() -> [Request] {
        guard state != .closed else { return [] }
        state = .closed
        defer { inFlight = [] }
        return inFlight.map(\.request)
    }
}
