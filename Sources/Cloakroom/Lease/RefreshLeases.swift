/// Who may refresh which session, until when, and who waits for that. A state machine without clock or lock.
package struct RefreshLeases<Waiter> {
    /// Something that may be waited for: the lease of a session, as it was when it was looked at.
    package struct Observation: Sendable {
        /// Distinguishes this state of the lease from those before and after it.
        package let generation: UInt64
        /// When the lease ends unless it is renewed.
        package let end: ContinuousClock.Instant
    }

    private struct Slot {
        let token: String
        var end: ContinuousClock.Instant
        var generation: UInt64
        var waiters: [UInt64: Waiter] = [:]
    }

    private var slots: [SessionID: Slot] = [:]
    private var lastNumber: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { slots.isEmpty }
    package var count: Int { slots.count }

    /// Gives the lease to a new holder, unless another has it.
    ///
    /// - Returns: whether it was given, and who waited for the former holder, whose lease is over.
    package mutating func acquire(
        _ id: SessionID, token: String, until end: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) -> (isGranted: Bool, waiters: [Waiter]) {
        if let slot = slots[id], slot.end > now { return (false, []) }
        let waiters = slots[id].map { Array($0.waiters.values) } ?? []
        slots[id] = Slot(token: token, end: end, generation: nextNumber())
        return (true, waiters)
    }

    /// - Returns: whether the holder still had it.
    package mutating func renew(
        _ id: SessionID, token: String, until end: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) -> Bool {
        guard let slot = slots[id], slot.end > now, constantTimeEquals(slot.token, token) else { return false }
        slots[id]?.end = end
        return true
    }

    /// - Returns: who waits for it.
    package mutating func release(_ id: SessionID, token: String) -> [Waiter] {
        guard let slot = slots[id], constantTimeEquals(slot.token, token) else { return [] }
        slots[id] = nil
        return Array(slot.waiters.values)
    }

    /// The session has other tokens, or is gone: whoever waits must look again.
    package mutating func sessionChanged(_ id: SessionID) -> [Waiter] {
        guard let index = slots.index(forKey: id) else { return [] }
        slots.values[index].generation = nextNumber()
        let waiters = Array(slots.values[index].waiters.values)
        slots.values[index].waiters = [:]
        return waiters
    }

    /// The lease as it is now; `nil` when nobody has it.
    package func observe(_ id: SessionID, now: ContinuousClock.Instant) -> Observation? {
        guard let slot = slots[id], slot.end > now else { return nil }
        return Observation(generation: slot.generation, end: slot.end)
    }

    /// Adds one who waits for the lease to be other than it was observed.
    ///
    /// - Returns: `nil` when it is so already; else the number to remove the waiter by.
    package mutating func addWaiter(_ waiter: Waiter, for id: SessionID, after observation: Observation) -> UInt64? {
        guard let index = slots.index(forKey: id), slots.values[index].generation == observation.generation else {
            return nil
        }
        let number = nextNumber()
        slots.values[index].waiters[number] = waiter
        return number
    }

    /// - Returns: the waiter, unless it was woken before.
    package mutating func removeWaiter(_ number: UInt64, of id: SessionID) -> Waiter? {
        slots[id]?.waiters.removeValue(forKey: number)
    }

    /// Forgets the leases that are over.
    ///
    /// - Returns: who waited for them.
    package mutating func dropExpired(now: ContinuousClock.Instant) -> [Waiter] {
        var waiters: [Waiter] = []
        for (id, slot) in slots where slot.end <= now {
            waiters.append(contentsOf: slot.waiters.values)
            slots[id] = nil
        }
        return waiters
    }

    private mutating func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }
}
