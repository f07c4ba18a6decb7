/// What went wrong in a store. It holds no secret and no personal data.
public struct SessionStoreError: Error, Sendable, Equatable {
    /// The kinds of failure; more may come.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String { case unavailable, rejected, full, tooLarge, notReplicated }
        private let kind: Kind

        /// The backing store can't be reached or did not answer in time.
        public static let unavailable = Code(kind: .unavailable)
        /// The backing store answered, and refused: credentials, read-only, loading, out of memory.
        public static let rejected = Code(kind: .rejected)
        /// The store holds as many sessions as it may.
        public static let full = Code(kind: .full)
        /// The session is larger than the store takes.
        public static let tooLarge = Code(kind: .tooLarge)
        /// The change was made, but too few replicas have confirmed it in time: it may be lost if the primary is.
        public static let notReplicated = Code(kind: .notReplicated)

        public var description: String { kind.rawValue }
    }

    /// The kind of failure.
    public let code: Code
    /// For people: what happened and, where there is one, the remedy.
    public let reason: String

    /// Whether it is known what became of the change: made for ``Code/notReplicated``, not made for all others. If not, it
    /// may have been made.
    public let isOutcomeKnown: Bool

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - code: the kind of failure.
    ///   - reason: for logs and operators; must hold no secret.
    ///   - isOutcomeKnown: whether it is known what became of the change; by default it is, unless the code is
    ///     ``Code/unavailable``.
    public init(_ code: Code, reason: String, isOutcomeKnown: Bool? = nil) {
        self.code = code
        self.isOutcomeKnown = isOutcomeKnown ?? (code != .unavailable)
        self.reason = reason
    }
}

extension SessionStoreError: CustomStringConvertible {
    public var description: String { "session store \(code): \(reason)" }
}
