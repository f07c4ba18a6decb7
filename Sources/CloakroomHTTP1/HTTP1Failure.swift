/// Why bytes are not a message that this codec takes. Whatever comes after it on the connection means nothing.
package enum HTTP1Failure: Error, Sendable, Equatable {
    /// The bytes are not HTTP/1.1 as RFC 9112 writes it, or can be read in two ways.
    case malformed(Malformation)
    /// The first line is longer than the limit.
    case startLineTooLong
    /// The head is larger than the limit, or has more fields.
    case headTooLarge
    /// The body has a transfer coding other than `chunked`.
    case unsupportedCoding
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    case unsupportedExpectation

    /// What is wrong, for the log. It never holds what was sent.
    package enum Malformation: String, Sendable {
        case startLine, version, target, fieldName, fieldValue, lineEnd, foldedField
        case host, contentLength, transferEncoding, chunkSize, chunkEnd, trailer
        /// The bytes begin a TLS handshake.
        case tls
        /// The bytes begin HTTP/2.
        case http2
        /// The other side closed before the end.
        case cutOff
        /// An answer that nobody asked for.
        case surplus
        /// The protocol was switched, which nobody asked for.
        case switchedProtocol
    }

    /// The status that a client gets for a request like this.
    package var status: Int {
        switch self {
        case .malformed: 400
        case .startLineTooLong: 414
        case .headTooLarge: 431
        case .unsupportedCoding: 501
        case .unsupportedExpectation: 417
        }
    }

    /// A word for the log.
    package var name: String {
        switch self {
        case .malformed(let part): part.rawValue
        case .startLineTooLong: "startLineTooLong"
        case .headTooLarge: "headTooLarge"
        case .unsupportedCoding: "unsupportedCoding"
        case .unsupportedExpectation: "unsupportedExpectation"
        }
    }
}

/// How much of a message's head is taken.
package struct HTTP1Limits: Sendable {
    /// The longest first line, in bytes, its end included.
    package var startLine = 16_384
    /// The largest head, in bytes.
    package var head = 65_536
    /// The most fields.
    package var fields = 128
    /// The longest trailer section, in bytes.
    package var trailer = 8192

    package init() {}
}
