import Cloakroom
import Foundation
import NIOCore

/// The event streams of one loop.
///
/// Nothing runs for a stream that has nothing to say: news come as events, and the loop's own timer says when a stream needs
/// a sign of life and a session another look. Looks that need the store wait in line, so that two thousand streams that have
/// lost sight of their sessions do not ask it all at once.
final class LiveRoom {
    /// How many sessions are asked for at once.
    private static let looksAtOnce = 16
    /// How often all sessions are looked at, at most.
    private static let sweepPause = TimeAmount.seconds(1)

    private unowned let room: LoopRoom
    private let shared: LiveSessions
    private let number: Int
    private var sessions: [SessionHandle: StreamedSession] = [:]
    private var line: ArraySlice<StreamedSession> = []
    private var looks = 0
    private var nextSweep = NIODeadline.uptimeNanoseconds(0)
    private var isSweepDue = false

    init(room: LoopRoom, shared: LiveSessions, number: Int) {
        self.room = room
        self.shared = shared
        self.number = number
    }

    // MARK: Streams

    /// Adds a stream, which is told when its session was found, and of all that happens from now on.
    ///
    /// - Returns: the session; `nil` when it has as many streams as it may have.
    func add(_ stream: LiveExchange, of presented: PresentedSession) -> StreamedSession? {
        guard shared.addStream(of: presented.handle, on: number) else { return nil }
        let session: StreamedSession
        if let known = sessions[presented.handle] {
            session = known
        } else {
            session = StreamedSession(presented)
            sessions[presented.handle] = session
            // Before it is read, so that no change between is missed.
            shared.watching?.watch(presented.id)
        }
        session.streams.append(stream)
        return session
    }

    func remove(_ stream: LiveExchange, from session: StreamedSession) {
        guard let index = session.streams.firstIndex(where: { $0 === stream }) else { return }
        session.streams.remove(at: index)
        shared.removeStream(of: session.handle)
        if session.streams.isEmpty { forget(session) }
    }

    private func forget(_ session: StreamedSession) {
        guard !session.isOver else { return }
        session.isOver = true
        sessions[session.handle] = nil
        shared.watching?.unwatch(session.id)
    }

    // MARK: News

    func take(_ news: LiveSessions.News, of handle: SessionHandle) {
        guard let session = sessions[handle] else { return }
        switch news {
        case .ended(let reason): end(session, reason)
        case .refreshed: look(at: session)
        case .changed(let peeked): found(peeked, session)
        }
    }

    private func end(_ session: StreamedSession, _ reason: SessionEndReason) {
        forget(session)
        for stream in Array(session.streams) { stream.sessionEnded(reason) }
    }

    /// Looks at all sessions, unless that was done just now; then it is done a moment later.
    func lookAtAllSoon() {
        guard NIODeadline.now() >= nextSweep else {
            isSweepDue = true
            return
        }
        isSweepDue = false
        nextSweep = .now() + Self.sweepPause
        for session in Array(sessions.values) { look(at: session) }
    }

    func tick(_ now: NIODeadline) {
        guard !sessions.isEmpty else { return }
        if isSweepDue { lookAtAllSoon() }
        for session in Array(sessions.values) where now >= session.nextLook { look(at: session) }
    }

    // MARK: Looks

    /// Looks at a session, at once if it is at hand.
    func look(at session: StreamedSession) {
        guard !session.isBeingLookedAt else {
            session.needsAnotherLook = true
            return
        }
        if let watching = shared.watching, watching.isHeard(session.id), let peeked = watching.nearPeek(at: session.id)
        {
            return found(peeked, session)
        }
        session.isBeingLookedAt = true
        line.append(session)
        askStore()
    }

    private func askStore() {
        while looks < Self.looksAtOnce, let session = line.popFirst() {
            guard !session.isOver, let store = shared.store else { continue }
            looks += 1
            let id = session.id
            room.run {
                await Result { try await storeCall { try await store.peek(at: id) } }
            } then: { result in
                self.looks -= 1
                self.answered(session, result)
                self.askStore()
            }
        }
        // Not the memory of the longest line there ever was.
        if line.isEmpty { line = [] }
    }

    private func answered(_ session: StreamedSession, _ result: Result<PeekedSession?, any Error>) {
        session.isBeingLookedAt = false
        guard !session.isOver else { return }
        switch result {
        case .success(let peeked?): found(peeked, session)
        case .success(nil): gone(session)
        case .failure(let error):
            session.failed(now: .now())
            for stream in Array(session.streams) { stream.couldNotLook(error) }
        }
        if session.needsAnotherLook, !session.isOver {
            session.needsAnotherLook = false
            look(at: session)
        }
    }

    private func found(_ peeked: PeekedSession, _ session: StreamedSession) {
        guard let store = shared.store else { return }
        let isHeard = shared.watching.flatMap { $0.hearsOfOthers ? $0.isHeard(session.id) : nil }
        session.found(peeked, store.policy, isHeard: isHeard, now: .now())
    }

    /// A session is no longer there.
    private func gone(_ session: StreamedSession) {
        // For streams that have not begun there never was one, as far as anybody here knows.
        guard let facts = session.facts else { return end(session, .elsewhere) }
        let reason = facts.endReason()
        guard reason == .elsewhere, let notes = shared.notes else { return gone(session, facts, reason) }
        // Another process ended it, and may have noted why.
        let handle = session.handle
        room.run {
            try? await notes.endReason(of: handle)
        } then: { noted in
            if !session.isOver { self.gone(session, facts, noted ?? reason) }
        }
    }

    private func gone(_ session: StreamedSession, _ facts: StreamedSession.Facts, _ reason: SessionEndReason) {
        // Whoever ends it in this process knows better, and says so by an event, which then is on its way here.
        shared.events.foundEnded(
            session.handle, user: facts.user, providerSession: facts.providerSession, otherwise: reason)
        let bound = NIOLoopBound((self, session), eventLoop: room.loop)
        room.loop.execute {
            let (live, session) = bound.value
            if !session.isOver { live.end(session, reason) }
        }
    }
}
