/// What went wrong between the client and Redis, apart from what Redis itself answered (``RedisServerError``).
///
/// It holds no argument, no reply and no password.
public struct RedisClientError: Error, Sendable, Equatable {
    /// The kinds of failure; more may come.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        package enum Kind: String, Sendable {
            case notConnected, notSent, timeout, connectionLost, handshakeRefused, protocolViolation, overloaded,
                shutDown
        }
        package let kind: Kind

        /// There is no connection, and there has been none for longer than a command waits. The command was not sent.
        public static let notConnected = Code(kind: .notConnected)
        /// The command could not be sent in time.
        public static let notSent = Code(kind: .notSent)
        /// No reply came in time. The command may have been carried out.
        public static let timeout = Code(kind: .timeout)
        /// The connection was lost before the reply came. The command may have been carried out.
        public static let connectionLost = Code(kind: .connectionLost)
        /// The connection's handshake was refused: by Redis (credentials, database, version, client certificate), or by us
        /// (its certificate, or a file for TLS that is missing or wrong).
        public static let handshakeRefused = Code(kind: .handshakeRefused)
        /// The server does not speak RESP3, or a reply was not what the command's ought to be.
        public static let protocolViolation = Code(kind: .protocolViolation)
        /// More commands wait than the client holds.
        public static let overloaded = Code(kind: .overloaded)
        /// The client was shut down.
        public static let shutDown = Code(kind: .shutDown)

        public var description: String { kind.rawValue }
    }

    /// The kind of failure.
    public let code: Code
    /// Whether the command was certainly not carried out; else it may or may not have been.
    public var isCertainlyNotCarriedOut: Bool {
        switch code.kind {
        case .notConnected, .notSent, .handshakeRefused, .overloaded, .shutDown: true
        case .timeout, .connectionLost, .protocolViolation: false
        }
    }

    /// For people.
    public let reason: String

    /// Makes an error.
    public init(_ code: Code, reason: String) {
        self.code = code
        self.reason = reason
    }

    /// The error for a request that ended with this one: what it says of the outcome is true of that request.
    ///
    /// - Parameter wasSent: whether the request was written to any connection, this one or one before.
    func ending(wasSent: Bool) -> RedisClientError {
        switch (wasSent, code.kind) {
        case (true, _) where isCertainlyNotCarriedOut:
            RedisClientError(
                .connectionLost, reason: "\(reason); the command was sent before and may have been carried out")
        case (false, .timeout): RedisClientError(.notSent, reason: reason)
        case (false, .connectionLost): RedisClientError(.notConnected, reason: reason)
        default: self
        }
    }
}

extension RedisClientError: CustomStringConvertible {
    public var description: String { reason }
}
