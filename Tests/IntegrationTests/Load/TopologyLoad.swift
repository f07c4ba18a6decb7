import CloakroomRedisClient
import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing

/// Runs a client for `body`.
func withRedisClient<Result: Sendable>(
    _ url: String, timeout: Duration = .seconds(5), connections: Int = 2,
    _ adjust: (inout RedisClientConfiguration) -> Void = { _ in },
    _ body: @Sendable (RedisClient) async throws -> Result
) async throws -> Result {
    var configuration = RedisClientConfiguration(url: try RedisURL(url))
    configuration.commandTimeout = timeout
    configuration.connections = connections
    adjust(&configuration)
    let client = RedisClient(configuration: configuration, logger: silent)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await client.run() }
        do {
            let result = try await body(client)
            client.shutDown()
            return result
        } catch {
            client.shutDown()
            throw error
        }
    }
}

/// Tasks that write and read keys of their own without end, and check that each reply is theirs.
final class TopologyLoad: Sendable {
    struct Record {
        var successes = 0
        var wrongReplies = 0
        var errors: [Date: any Error] = [:]
        var firstSuccessSinceMark: Date?
        var markedAt = Date.distantPast
    }

    private let record = Mutex(Record())
    let taskCount: Int
    private let keysPerTask: Int

    init(taskCount: Int = 16, keysPerTask: Int = 32) {
        self.taskCount = taskCount
        self.keysPerTask = keysPerTask
    }

    var successes: Int { record.withLock { $0.successes } }
    var wrongReplies: Int { record.withLock { $0.wrongReplies } }
    var errors: [Date: any Error] { record.withLock { $0.errors } }
    var firstSuccessSinceMark: Date? { record.withLock { $0.firstSuccessSinceMark } }

    /// Begins to look for the next success. What was answered already may still be on its way to its caller.
    func mark() {
        record.withLock { record in
            record.firstSuccessSinceMark = nil
            record.markedAt = Date(timeIntervalSinceNow: 0.05)
        }
    }

    /// Waits until a number of rounds has succeeded without an error among them.
    func runsWithoutErrors(for count: Int) async throws {
        var (successes, errors) = (self.successes, self.errors.count)
        try await eventually("\(count) rounds without an error") {
            if self.errors.count != errors { (successes, errors) = (self.successes, self.errors.count) }
            return self.successes >= successes + count
        }
    }

    /// Runs the tasks for as long as `body` takes.
    func run(on client: RedisClient, _ body: @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<taskCount { group.addTask { await self.work(task, client) } }
            defer { group.cancelAll() }
            try await body()
        }
    }

    func key(_ task: Int, _ number: Int) -> String { "load-\(task)-\(number)" }

    private func work(_ task: Int, _ client: RedisClient) async {
        var round = 0
        while !Task.isCancelled {
            let key = key(task, round % keysPerTask)
            let value = "\(key)=\(round)"
            do {
                let answer = try await client.send(.set(key, .text(value), milliseconds: 600_000))
                let read = try await client.send(.get(key))
                let isRight =
                    answer == .simpleString("OK") && (read == .null || text(read)?.hasPrefix("\(key)=") == true)
                record.withLock { record in
                    record.successes += 1
                    if !isRight { record.wrongReplies += 1 }
                    if record.firstSuccessSinceMark == nil, Date() >= record.markedAt {
                        record.firstSuccessSinceMark = Date()
                    }
                }
            } catch is CancellationError {
                return
            } catch {
                record.withLock { $0.errors[Date()] = error }
                try? await Task.sleep(for: .milliseconds(5))
            }
            round += 1
        }
    }
}

/// The text of a string.
func text(_ reply: RESPValue) -> String? {
    switch reply {
    case .bulk(let buffer): String(buffer: buffer)
    case .simpleString(let text): text
    default: nil
    }
}
