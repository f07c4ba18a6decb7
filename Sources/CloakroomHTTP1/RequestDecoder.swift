package import NIOCore

/// Reads the requests of one connection, one after the other.
///
/// It is the only reader of a client's bytes: whether a byte belongs to a head, to a body or to the next request is decided
/// here and nowhere else. After a failure nothing more can be read, nor after a request for another protocol.
package struct RequestDecoder: Sendable {
    /// What was read.
    package enum Event: Sendable {
        case head(RequestHead)
        case body(ByteBuffer)
        case end
    }

    private enum State: Sendable {
        case head
        case body(BodyDecoder)
        /// What follows may be another protocol.
        case over
        case failed(HTTP1Failure)
    }

    private let limits: HTTP1Limits
    private var scanner = HeadScanner()
    private var lines: [FieldLines.Line] = []
    private var state = State.head
    private var hasSkippedLine = false
    private var isLast = false

    package init(limits: HTTP1Limits = HTTP1Limits()) { self.limits = limits }

    /// Whether no request can follow, as the last one asked for another protocol.
    package var isOver: Bool { if case .over = state { true } else { false } }

    /// Reads the next part. What is not enough for one stays in the buffer, and is less than a head's limit.
    ///
    /// - Returns: `nil` when more bytes are needed.
    package mutating func next(_ buffer: inout ByteBuffer) throws(HTTP1Failure) -> Event? {
        do throws(HTTP1Failure) {
            switch state {
            case .head:
                guard let head = try head(&buffer) else { return nil }
                state = .body(BodyDecoder(head.framing, longestTrailer: limits.trailer))
                isLast = head.asksForAnotherProtocol
                return .head(head)
            case .body(var body):
                let part = try body.next(&buffer)
                if case .end? = part { state = isLast ? .over : .head } else { state = .body(body) }
                return part.map { if case .data(let data) = $0 { .body(data) } else { .end } }
            case .over: return nil
            case .failed(let failure): throw failure
            }
        } catch {
            state = .failed(error)
            throw error
        }
    }

    private mutating func head(_ buffer: inout ByteBuffer) throws(HTTP1Failure) -> RequestHead? {
        while true {
            let result = buffer.withUnsafeReadableBytes { bytes -> Result<Int?, HTTP1Failure> in
                guard let first = bytes.first else { return .success(nil) }
                // What can't become a request is not waited for.
                guard Octets.isToken(first) || first == Octets.carriageReturn else {
                    return .failure(.malformed(first == 0x16 ? .tls : .startLine))
                }
                return Result { () throws(HTTP1Failure) in try scanner.headLength(in: bytes, limits) }
            }
            guard let length = try result.get() else { return nil }
            if length == 2 {
                // One empty line before a request is what some clients send after a body (RFC 9112 §2.2).
                guard !hasSkippedLine else { throw .malformed(.startLine) }
                hasSkippedLine = true
                buffer.moveReaderIndex(forwardBy: 2)
                continue
            }
            hasSkippedLine = false
            guard let bytes = buffer.readSlice(length: length) else { return nil }
            return try RequestHeadParser.parse(bytes, limits, reusing: &lines)
        }
    }
}
