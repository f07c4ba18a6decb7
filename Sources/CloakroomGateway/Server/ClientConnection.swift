import NIOCore
import Synchronization

/// What a request's task knows of the connection that the request came on: whether its body came whole, and when the
/// client hangs up. ``ClientConnectionHandler`` tells it.
final class ClientConnection: Sendable {
    private struct State {
        var isBodyWhole = false
        var isBodyStarted = false
        var isHungUp = false
        var onHangUp: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let channel: any Channel

    init(channel: any Channel) {
        self.channel = channel
    }

    /// Whether the request that is being answered came with all of its body.
    var isBodyWhole: Bool { state.withLock { $0.isBodyWhole } }

    /// Whether the client has closed the connection, or its side of it.
    var isHungUp: Bool { state.withLock { $0.isHungUp } }

    func update(isBodyWhole: Bool, isBodyStarted: Bool) {
        state.withLock {
            $0.isBodyWhole = isBodyWhole
            $0.isBodyStarted = isBodyStarted
        }
    }

    func hangUp() {
        let action = state.withLock { state in
            state.isHungUp = true
            return state.onHangUp.take()
        }
        action?()
    }

    /// Runs the operation in a task of its own, which is cancelled when the client hangs up.
    func whileConnected<Value: Sendable>(_ operation: @escaping @Sendable () async throws -> Value) async throws
        -> Value
    {
        let task = Task(operation: operation)
        let isHungUp = state.withLock { state in
            if !state.isHungUp { state.onHangUp = { task.cancel() } }
            return state.isHungUp
        }
        if isHungUp { task.cancel() }
        defer { state.withLock { $0.onHangUp = nil } }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// Says that the body is wanted, to a client that waits to be asked for it (RFC 9110 §10.1.1).
    func askForBody() {
        guard state.withLock({ !$0.isBodyStarted && !$0.isBodyWhole }) else { return }
        channel.pipeline.fireUserInboundEvent(.askForBody)
    }

    /// Ends the request's body for whoever reads it, though the client may have more: the connection ends after the
    /// response.
    func abandonBody() {
        channel.pipeline.fireUserInboundEvent(.abandonBody)
    }

    /// What a request's task asks of ``ClientConnectionHandler``.
    enum Wish: Sendable {
        case askForBody, abandonBody
    }
}

extension ChannelPipeline {
    fileprivate func fireUserInboundEvent(_ wish: ClientConnection.Wish) {
        fireUserInboundEventTriggered(wish)
    }
}
