package import NIOCore

/// Reads the responses to the requests that were sent on one connection.
package struct ResponseDecoder: Sendable {
    /// What was read.
    package enum Event: Sendable {
        /// A response before the response (RFC 9110 §15.2).
        case interim(ResponseHead)
        case head(ResponseHead)
        case body(ByteBuffer)
        case end
    }

    private enum State: Sendable {
        /// No request was sent to which there is no response yet.
        case idle
        case head(toHead: Bool)
        case body(BodyDecoder)
        case failed(HTTP1Failure)
    }

    /// More of them to one request is an attack.
    private static let mostInterim = 16

    private let limits: HTTP1Limits
    private var scanner = HeadScanner()
    private var lines: [FieldLines.Line] = []
    private var interim = 0
    private var state = State.idle

    package init(limits: HTTP1Limits = HTTP1Limits()) { self.limits = limits }

    /// Whether there is no response under way.
    package var isIdle: Bool { if case .idle = state { true } else { false } }

    /// Says that a request was sent. There must be no response under way.
    ///
    /// - Parameter isHead: whether its method is `HEAD`, whose response has no body.
    package mutating func expectResponse(toHead isHead: Bool) {
        interim = 0
        state = .head(toHead: isHead)
    }

    /// Reads the next part.
    ///
    /// - Returns: `nil` when more bytes are needed.
    package mutating func next(_ buffer: inout ByteBuffer) throws(HTTP1Failure) -> Event? {
        do throws(HTTP1Failure) {
            switch state {
            case .idle:
                guard buffer.readableBytes == 0 else { throw .malformed(.surplus) }
                return nil
            case .head(let toHead):
                guard let head = try head(&buffer, toHead: toHead) else { return nil }
                guard head.status != 101 else { throw .malformed(.switchedProtocol) }
                guard !head.isInterim else {
                    interim += 1
                    guard interim <= Self.mostInterim else { throw .headTooLarge }
                    return .interim(head)
                }
                state = .body(BodyDecoder(head.framing, longestTrailer: limits.trailer))
                return .head(head)
            case .body(var body):
                let part = try body.next(&buffer)
                if case .end? = part { state = .idle } else { state = .body(body) }
                return part.map { if case .data(let data) = $0 { .body(data) } else { .end } }
            case .failed(let failure): throw failure
            }
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// The other side has closed.
    ///
    /// - Returns: whether that was the end of the response under way.
    package mutating func finish() -> Bool {
        guard case .body(var body) = state, body.finish() else { return false }
        state = .idle
        return true
    }

    private mutating func head(_ buffer: inout ByteBuffer, toHead: Bool) throws(HTTP1Failure) -> ResponseHead? {
        let result = buffer.withUnsafeReadableBytes { bytes -> Result<Int?, HTTP1Failure> in
            guard let first = bytes.first else { return .success(nil) }
            guard first == UInt8(ascii: "H") else { return .failure(.malformed(.startLine)) }
            return Result { () throws(HTTP1Failure) in try scanner.headLength(in: bytes, limits) }
        }
        guard let length = try result.get(), let bytes = buffer.readSlice(length: length) else { return nil }
        return try ResponseHeadParser.parse(bytes, limits, toHead: toHead, reusing: &lines)
    }
}
