package import NIOCore

/// Runs tasks on the thread of an event loop.
///
/// A task that talks to Redis from the thread of its connection needs no other thread to be woken, neither for its command
/// nor for the reply: on a busy machine of few cores that is most of what a call costs. Such a task must not block.
public final class EventLoopTaskExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    package init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedTaskExecutor()
        eventLoop.execute { job.runSynchronously(on: executor) }
    }
}
