import Cloakroom
import CloakroomRedis
import Logging
import ServiceLifecycle

/// Moves the sessions that are in memory, and the logins under way, into Redis when the gateway stops, so that switching
/// Redis on logs nobody out.
///
/// It must stop after the server and the refreshes: no request is served once it begins. A failure is logged and fails
/// nothing.
struct SessionDrain: Service {
    /// How long it may take, within the time that an orchestrator grants a program to end.
    private static let limit = Duration.seconds(8)
    /// How much of that Redis is waited for.
    private static let patience = Duration.seconds(3)

    let memory: InMemorySessionStore
    let target: RedisSessionStore
    let url: RedisURL
    let logger: Logger

    func run() async throws {
        try? await gracefulShutdown()
        // A task of its own: the time for the requests under way may be over, and this task cancelled with them. Detached,
        // since the target's run() would otherwise take this shutdown for its own and end at once.
        await Task.detached { await drain() }.value
    }

    private func drain() async {
        let memory = memory
        let target = target
        let problem: (any Error)? = await withTaskGroup(of: Outcome.self) { group in
            group.addTask {
                try? await target.run()
                return .stopped
            }
            group.addTask {
                // One that can't be reached is found out once, not once for each session.
                if let problem = await whyUnreachable() { return .unreachable(problem) }
                let sessions = await memory.drain(into: target)
                let logins = await memory.drainRecords(into: target)
                return .drained(sessions, logins)
            }
            group.addTask {
                try? await Task.sleep(for: Self.limit)
                return .tooLate
            }
            defer { group.cancelAll() }
            while let outcome = await group.next() {
                switch outcome {
                case .stopped: continue
                case .unreachable(let error): return error
                case .tooLate: return SessionStoreError(.unavailable, reason: "it took longer than \(Self.limit)")
                case .drained(let sessions, let logins):
                    report(sessions, logins)
                    return nil
                }
            }
            return nil
        }
        guard let problem else { return }
        logger.error(
            "Sessions could not be moved from memory to Redis; users must log in again",
            metadata: ["url": "\(url)", "error": "\(problem)"])
    }

    /// Tries for a while, as the connection is made only now, and all sessions are lost if it is given up too soon.
    private func whyUnreachable() async -> (any Error)? {
        let end = ContinuousClock.now + Self.patience
        while true {
            do {
                try await target.ping()
                return nil
            } catch {
                guard ContinuousClock.now < end, (try? await Task.sleep(for: .milliseconds(50))) != nil else {
                    return error
                }
            }
        }
    }

    private enum Outcome {
        case stopped, tooLate
        case unreachable(any Error)
        case drained(InMemorySessionStore.DrainReport, InMemorySessionStore.DrainReport)
    }

    private func report(_ sessions: InMemorySessionStore.DrainReport, _ logins: InMemorySessionStore.DrainReport) {
        let isWhole = sessions.failed == 0 && logins.failed == 0
        logger.log(
            level: isWhole ? .info : .error, "Moved sessions from memory to Redis",
            metadata: [
                "moved": "\(sessions.moved)", "failed": "\(sessions.failed)", "logins": "\(logins.moved)",
                "url": "\(url)",
            ])
    }
}
