import Cloakroom
import NIOCore
import Synchronization

/// The event streams of all loops: which sessions have some and on which loops, so that what happens to a session reaches
/// them, and nobody else is woken.
final class LiveSessions: SessionEventListener, Sendable {
    /// What a loop is told of a session that has streams there.
    enum News: Sendable {
        case ended(SessionEndReason)
        case refreshed
        case changed(PeekedSession)
    }

    private struct Entry {
        var count = 0
        /// A bit for each loop that may have streams of it.
        var loops: UInt64 = 0
    }

    private struct Loop {
        let loop: any EventLoop
        let room: NIOLoopBound<LoopRoom>
    }

    private struct State {
        var entries: [SessionHandle: Entry] = [:]
        var loops: [Loop] = []
    }

    /// Shows sessions without using them; `nil` where the store can't, and then there are no streams.
    let store: (any SessionPeek)?
    /// Tells of changes that others make; `nil` where the store can't.
    let watching: (any SessionWatching)?
    /// Says why sessions ended; `nil` where the store can't.
    let notes: (any SessionEndNotes)?
    let events: SessionEvents
    /// How long the store's sessions live, where it can tell.
    private let policy: SessionPolicy?
    private let limit: Int
    private let count = Atomic<Int>(0)
    private let state = Mutex(State())

    /// - Parameter limit: how many streams a session may have.
    init(store: any SessionStore, events: SessionEvents, limit: Int) {
        let peeking = store as? any SessionPeek
        self.store = peeking
        policy = peeking?.policy
        watching = store as? any SessionWatching
        notes = store as? any SessionEndNotes
        self.events = events
        self.limit = limit
    }

    /// Listens to what happens, from now on.
    func listen() {
        events.add(self)
        watching?.onChange { [weak self] id, peeked in self?.tell(id.handle, .changed(peeked)) }
    }

    /// A session that was just used, and when it ends.
    func used(_ session: Session) -> PeekedSession {
        policy?.used(session) ?? PeekedSession(session: session, endsAt: session.expiresAt)
    }

    /// How many streams there are.
    var streamCount: Int { count.load(ordering: .relaxed) }

    // MARK: What loops say

    /// - Returns: the loop's number.
    func add(_ room: NIOLoopBound<LoopRoom>, on loop: any EventLoop) -> Int {
        state.withLock { state in
            state.loops.append(Loop(loop: loop, room: room))
            return state.loops.count - 1
        }
    }

    /// Counts one more stream of a session.
    ///
    /// - Parameter loop: the number of the loop that it is on.
    /// - Returns: `false` if the session has as many as it may have; then it was not counted.
    func addStream(of handle: SessionHandle, on loop: Int) -> Bool {
        let isAdded = state.withLock { state in
            var entry = state.entries[handle] ?? Entry()
            guard entry.count < limit else { return false }
            entry.count += 1
            entry.loops |= Self.bit(loop)
            state.entries[handle] = entry
            return true
        }
        if isAdded { count.add(1, ordering: .relaxed) }
        return isAdded
    }

    func removeStream(of handle: SessionHandle) {
        state.withLock { state in
            guard let entry = state.entries[handle] else { return }
            state.entries[handle] = entry.count > 1 ? Entry(count: entry.count - 1, loops: entry.loops) : nil
        }
        count.subtract(1, ordering: .relaxed)
    }

    /// Loops beyond the 64th share the bits of others: to be asked for nothing harms nobody.
    private static func bit(_ loop: Int) -> UInt64 { 1 << UInt64(loop % 64) }

    // MARK: What happens to sessions

    func receive(_ event: SessionEvent) {
        switch event.kind {
        case .ended(let reason): tell(event.session, .ended(reason))
        case .refreshed: tell(event.session, .refreshed)
        case .missed: lookAtAll()
        case .began, .refreshFailed, .denied: break
        }
    }

    private func tell(_ handle: SessionHandle?, _ news: News) {
        guard let handle, streamCount > 0 else { return }
        let loops = state.withLock { state -> [Loop] in
            guard let entry = state.entries[handle] else { return [] }
            return state.loops.enumerated().filter { entry.loops & Self.bit($0.offset) != 0 }.map(\.element)
        }
        for loop in loops { loop.loop.execute { loop.room.value.live.take(news, of: handle) } }
    }

    /// Something may have been missed: each session is looked at anew.
    private func lookAtAll() {
        guard streamCount > 0 else { return }
        for loop in state.withLock({ $0.loops }) { loop.loop.execute { loop.room.value.live.lookAtAllSoon() } }
    }
}
