import Synchronization

/// The versions of one value: the one that a server holds, and the last whose change was reported.
final class Versions: Sendable {
    private let state = Mutex((current: 0, reported: 0))

    var current: Int { state.withLock { $0.current } }
    var reported: Int { state.withLock { $0.reported } }

    func write() -> Int {
        state.withLock { state in
            state.current += 1
            return state.current
        }
    }

    func noteReport(of version: Int) { state.withLock { $0.reported = max($0.reported, version) } }
}
