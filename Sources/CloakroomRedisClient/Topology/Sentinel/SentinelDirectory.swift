/// The sentinels that are known, in the order in which to ask them.
///
/// It does no I/O; its owner tells it what came of asking.
struct SentinelDirectory {
    /// More are not taken: a handful watches a primary.
    static let maximumCount = 64

    private(set) var sentinels: [RedisEndpoint]
    /// Whether the last answer has led to a primary.
    private var isConfirmed = true
    /// The last failover that any sentinel knew of.
    private(set) var highestEpoch = 0

    init(_ sentinels: [RedisEndpoint]) { self.sentinels = sentinels }

    /// Begins a round of asking.
    ///
    /// If the last answer has led nowhere, another sentinel comes first: the one that gave it may be cut off from the rest.
    mutating func beginRound(primaryName: String) -> SentinelRound {
        if !isConfirmed, let first = sentinels.first {
            sentinels.removeFirst()
            sentinels.append(first)
        }
        isConfirmed = false
        return SentinelRound(sentinels: sentinels, primaryName: primaryName, highestEpoch: highestEpoch)
    }

    /// Tells which failover a sentinel knows as the last.
    ///
    /// - Returns: `false` if another sentinel knew a later one: then what this one says is out of date.
    mutating func heard(epoch: Int) -> Bool {
        defer { highestEpoch = max(highestEpoch, epoch) }
        return epoch >= highestEpoch
    }

    /// Tells that a sentinel knew the primary: it is asked first from now on.
    mutating func answered(_ sentinel: RedisEndpoint, epoch: Int, others: [RedisEndpoint]) {
        // If all sentinels have forgotten what they knew, what they know now is what counts.
        highestEpoch = epoch
        if let index = sentinels.firstIndex(of: sentinel) {
            sentinels.remove(at: index)
            sentinels.insert(sentinel, at: 0)
        }
        for other in others where sentinels.count < Self.maximumCount && !sentinels.contains(other) {
            sentinels.append(other)
        }
    }

    /// Tells that the server that was named last is the primary.
    mutating func confirmed() { isConfirmed = true }
}

/// One round of asking all sentinels in turn.
struct SentinelRound {
    private let primaryName: String
    private var remaining: ArraySlice<RedisEndpoint>
    /// Whether a sentinel was reached that does not know the primary.
    private var isUnknown = false
    private var refusal: String?
    private var lastFailure: String?
    private let highestEpoch: Int
    /// What a sentinel said that has missed a failover.
    private(set) var outdated: (primary: RedisEndpoint, sentinel: RedisEndpoint, epoch: Int)?

    fileprivate init(sentinels: [RedisEndpoint], primaryName: String, highestEpoch: Int) {
        self.remaining = sentinels[...]
        self.primaryName = primaryName
        self.highestEpoch = highestEpoch
    }

    /// The sentinel to ask now; `nil` when all were asked.
    mutating func next() -> RedisEndpoint? { remaining.popFirst() }

    /// Tells what a sentinel answered, and which failover it knows as the last.
    ///
    /// - Returns: where the primary is, if it knows. One that has missed a failover is believed only when all were asked; see
    ///   ``outdated``.
    mutating func answered(_ address: SentinelReply.Address, epoch: Int, by sentinel: RedisEndpoint) -> RedisEndpoint? {
        switch address {
        case .at(let endpoint):
            if epoch >= highestEpoch { return endpoint }
            if outdated.map({ $0.epoch < epoch }) ?? true { outdated = (endpoint, sentinel, epoch) }
        case .unknown: isUnknown = true
        case .refused(let error):
            switch error.kind {
            case .authenticationRequired, .wrongCredentials, .notPermitted: refusal = error.description
            default: lastFailure = error.description
            }
        case .malformed: lastFailure = "its answer is not that of a sentinel"
        }
        return nil
    }

    /// Tells that a sentinel could not be asked.
    mutating func failed(_ error: any Error) {
        let reason = ConnectionFailure.describe(error)
        if let error = error as? RedisClientError, error.code == .handshakeRefused {
            refusal = reason
        } else {
            lastFailure = reason
        }
    }

    /// Why no sentinel has told where the primary is.
    var failure: RedisClientError {
        if isUnknown {
            return RedisClientError(
                .handshakeRefused, reason: "the sentinels do not know a primary that is called \(primaryName)")
        }
        if let refusal {
            return RedisClientError(.handshakeRefused, reason: "the sentinels refuse the connection: \(refusal)")
        }
        return RedisClientError(
            .notConnected, reason: "no sentinel can be reached (the last one: \(lastFailure ?? "not asked"))")
    }
}
