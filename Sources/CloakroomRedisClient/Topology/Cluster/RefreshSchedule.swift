import NIOCore

/// When to ask a cluster for its map: now and then, soon after something has shown that it is out of date, and not too often.
struct RefreshSchedule {
    /// The time between two refreshes when all is well.
    static let interval = TimeAmount.seconds(15)
    private static let shortest = TimeAmount.milliseconds(100)
    private static let longest = TimeAmount.milliseconds(400)

    private var last: NIODeadline?
    private var spacing = RefreshSchedule.shortest

    /// Whether to ask now.
    ///
    /// - Parameter isWanted: whether the map is known, or must be feared, to be out of date.
    func isDue(now: NIODeadline, isWanted: Bool) -> Bool {
        guard let last else { return true }
        return now >= last + (isWanted ? spacing : Self.interval)
    }

    /// Tells that a refresh has ended.
    ///
    /// - Parameters:
    ///   - wasWanted: why it was made.
    ///   - hasChanged: whether it brought anything new.
    mutating func refreshed(now: NIODeadline, wasWanted: Bool, hasChanged: Bool) {
        last = now
        spacing = wasWanted && !hasChanged ? min(spacing + spacing, Self.longest) : Self.shortest
    }
}
