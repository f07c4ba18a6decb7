import Synchronization

/// Which sessions may be those of one user, or of one session at the identity provider.
///
/// Its entries are hints: the session itself decides. Whoever holds the lock of a name's entries may take a session
/// shard's lock, never the other way round.
final class InMemoryIndex<Name: Hashable & Sendable>: Sendable {
    private final class Shard: Sendable {
        let sessions = Mutex<[Name: Set<SessionID>]>([:])
    }

    private let shards = (0..<64).map { _ in Shard() }

    /// The sessions of a name.
    func ids(of name: Name) -> Set<SessionID> {
        shard(of: name).sessions.withLock { $0[name] ?? [] }
    }

    /// Works on the sessions of a name while nobody else does.
    func withIDs<Answer: Sendable>(of name: Name, _ body: (inout Set<SessionID>) -> Answer) -> Answer {
        shard(of: name).sessions.withLock { sessions in
            let answer = body(&sessions[name, default: []])
            if sessions[name]?.isEmpty == true { sessions[name] = nil }
            return answer
        }
    }

    func add(_ id: SessionID, to name: Name) {
        withIDs(of: name) { _ = $0.insert(id) }
    }

    /// How many names have sessions, for tests of its growth.
    var nameCount: Int { shards.reduce(0) { $0 + $1.sessions.withLock { $0.count } } }

    private func shard(of name: Name) -> Shard {
        shards[Int(truncatingIfNeeded: UInt(bitPattern: name.hashValue) % UInt(shards.count))]
    }
}
