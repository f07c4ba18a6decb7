import Cloakroom
import NIOCore

import struct Foundation.Date

/// Finds out which of the sessions that Redis reports as changed have ended, and tells of them.
///
/// A report says that a key has changed, not how, so the session is read anew; that also keeps it in the near cache, where
/// its next change is heard of.
final class EndWatch: Sendable {
    /// A session that has changed.
    private struct Change: Sendable {
        let id: SessionID
        let session: Session
        /// When it was to end unless it is used again, on the monotonic clock.
        let end: UInt64
    }

    /// What came of reading a session.
    enum Reading: Equatable {
        case gone
        case live(isKept: Bool)
    }

    /// How many changes may wait; more are not looked at, and listeners are told so.
    private static let capacity = 8192
    /// How many are looked at at once.
    private static let concurrency = 32
    /// How often a session is read that changes again meanwhile.
    private static let attempts = 8
    /// When to look again for the note of an end that has none yet, in milliseconds.
    private static let notePauses = [5, 10, 20]
    /// Redis and this process do not agree to the millisecond when a key's time is over.
    private static let slack = UInt64(500_000_000)

    private let events: SessionEvents
    private let changes: AsyncStream<Change>
    private let continuation: AsyncStream<Change>.Continuation

    init(events: SessionEvents) {
        self.events = events
        (changes, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.capacity))
    }

    /// Tells that a session has changed.
    func changed(_ id: SessionID, _ session: Session, end: UInt64) {
        if case .dropped = continuation.yield(Change(id: id, session: session, end: end)) { lostSight() }
    }

    /// Tells that changes may have been missed.
    func lostSight() { events.emit(SessionEvent(.missed(count: nil))) }

    /// Looks at what has changed until cancellation.
    ///
    /// - Parameters:
    ///   - read: reads a session from Redis, which is no use of it.
    ///   - note: reads the note of why a session has ended, if there is one.
    func run(
        _ read: @escaping @Sendable (SessionID) async throws -> Reading,
        note: @escaping @Sendable (SessionHandle) async -> SessionEndReason?
    ) async {
        await withTaskGroup(of: Void.self) { group in
            var running = 0
            for await change in changes {
                if running >= Self.concurrency {
                    await group.next()
                    running -= 1
                }
                running += 1
                group.addTask { await self.look(at: change, read, note) }
            }
            group.cancelAll()
        }
    }

    private func look(
        at change: Change, _ read: (SessionID) async throws -> Reading,
        _ note: (SessionHandle) async -> SessionEndReason?
    ) async {
        do {
            var reading = try await read(change.id)
            // What changed during the read is not kept, and so its next change would not be heard of.
            for attempt in 1..<Self.attempts where reading == .live(isKept: false) {
                try await Task.sleep(for: .milliseconds(attempt))
                reading = try await read(change.id)
            }
            guard reading == .gone else { return }
        } catch {
            // It may have ended or not; who needs to know asks the store.
            return lostSight()
        }
        let session = change.session
        events.foundEnded(
            change.id.handle, user: session.user, providerSession: session.providerSession,
            otherwise: await reason(change, note))
    }

    private func reason(
        _ change: Change, _ note: (SessionHandle) async -> SessionEndReason?
    ) async -> SessionEndReason {
        if change.session.expiresAt.timeIntervalSinceNow <= Double(Self.slack) / 1e9 { return .absolute }
        if NIODeadline.now().uptimeNanoseconds + Self.slack >= change.end { return .idle }
        if let reason = await note(change.id.handle) { return reason }
        // In a cluster, and for a session that a newer one has ended, the note comes a round trip after the end.
        for pause in Self.notePauses {
            guard (try? await Task.sleep(for: .milliseconds(pause))) != nil else { break }
            if let reason = await note(change.id.handle) { return reason }
        }
        return .elsewhere
    }
}
