import NIOCore

/// Finds out up to when a server's reports are complete.
///
/// A reply proves that all was reported that had changed when its command was written, as reports and replies come in
/// order. It remembers for one request at a time when that was written, whichever comes: so it reads no clock and spends no
/// memory for the others.
struct FreshnessProbe {
    /// How long after one request that it remembered the next is taken.
    private static let spacing = TimeAmount.milliseconds(100)
    /// For how long nothing is sent before it is time for a `PING`; with the tick of a connection, one about every 250 ms.
    private static let silence = TimeAmount.milliseconds(200)

    /// How many requests were written.
    private var writtenCount = 0
    /// The request that is remembered: the how many-th it is, and when it was written.
    private var remembered: (number: Int, writtenAt: NIODeadline)?
    private var lastRemembered = NIODeadline.distantPast

    /// Tells that requests were written together.
    mutating func wrote(_ count: Int, at now: NIODeadline) {
        guard count > 0 else { return }
        if remembered == nil, now - lastRemembered >= Self.spacing {
            remembered = (writtenCount + 1, now)
            lastRemembered = now
        }
        writtenCount += count
    }

    /// Tells that replies have come.
    ///
    /// - Parameter inFlight: how many requests still wait.
    /// - Returns: up to when all changes were reported, if that is news.
    mutating func received(inFlight: Int) -> NIODeadline? {
        guard let (number, writtenAt) = remembered, writtenCount - inFlight >= number else { return nil }
        remembered = nil
        return writtenAt
    }

    /// Whether a command is needed, as there was none for a while whose reply could prove something.
    func isPingDue(now: NIODeadline) -> Bool { remembered == nil && now - lastRemembered >= Self.silence }
}
