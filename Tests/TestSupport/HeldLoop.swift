import Dispatch
import NIOCore
package import NIOPosix
import Synchronization

/// An event loop group of one thread, which a test can hold up: what runs on it stands still, and nothing else does.
package struct HeldLoop: Sendable {
    package let group: MultiThreadedEventLoopGroup

    /// Runs `body` with a loop of its own, and ends that afterwards.
    package static func with(_ body: @Sendable (HeldLoop) async throws -> Void) async throws {
        let held = HeldLoop(group: MultiThreadedEventLoopGroup(numberOfThreads: 1))
        do {
            try await body(held)
        } catch {
            try? await held.group.shutdownGracefully()
            throw error
        }
        try await held.group.shutdownGracefully()
    }

    /// Whether `operation` waits for this loop: it is begun while the loop stands still, and must not have ended when
    /// `other` has.
    package func holdsUp(
        _ operation: @escaping @Sendable () async throws -> Void, while other: () async throws -> Void
    ) async throws -> Bool {
        let gate = DispatchSemaphore(value: 0)
        let hasEnded = Flag()
        group.any().execute { gate.wait() }
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { gate.signal() }
            tasks.addTask {
                try await operation()
                hasEnded.value.store(true, ordering: .sequentiallyConsistent)
            }
            try await other()
            let wasHeld = !hasEnded.value.load(ordering: .sequentiallyConsistent)
            gate.signal()
            try await tasks.waitForAll()
            return wasHeld
        }
    }
}

private final class Flag: Sendable {
    let value = Atomic(false)
}
