import Hummingbird
import NIOCore
import Synchronization

/// The body of a request on its way to the upstream: it has one reader, the HTTP client, and that one only until
/// ``close()``.
///
/// The HTTP client may still wait for the next bytes when the exchange has ended, and the server reads the rest of the
/// request after the response. Two that read at once stop the process, so the first must have let go before the second
/// begins. Nothing is buffered here: bytes are read from the client as the upstream takes them.
final class UploadBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    /// The client did not send all of the body, or the exchange has ended.
    struct Incomplete: Error {}

    private struct State {
        var isClosed = false
        var isReading = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let body: RequestBody
    private let connection: ClientConnection
    private let state = Mutex(State())

    init(_ body: RequestBody, connection: ClientConnection) {
        self.body = body
        self.connection = connection
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(owner: self) }

    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let owner: UploadBody
        private var inner: RequestBody.AsyncIterator?

        fileprivate init(owner: UploadBody) { self.owner = owner }

        mutating func next() async throws -> ByteBuffer? {
            try owner.begin()
            defer { owner.finish() }
            if inner == nil {
                inner = owner.body.makeAsyncIterator()
                owner.connection.askForBody()
            }
            if let bytes = try await inner?.next() { return bytes }
            // A body that was cut off must not look whole to the upstream.
            guard owner.connection.isBodyWhole else { throw Incomplete() }
            return nil
        }
    }

    private func begin() throws {
        try state.withLock { state in
            guard !state.isClosed else { throw Incomplete() }
            state.isReading = true
        }
    }

    private func finish() {
        let waiter = state.withLock { state in
            state.isReading = false
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Ends the reading; returns when nobody reads any more. What the client has not sent by then is not waited for.
    func close() async {
        connection.abandonBody()
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isReading = state.withLock { state in
                state.isClosed = true
                if state.isReading { state.waiter = continuation }
                return state.isReading
            }
            if !isReading { continuation.resume() }
        }
    }
}
