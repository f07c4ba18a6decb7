import Cloakroom
import CloakroomRedisClient
import NIOCore

/// How the parts of the store speak to Redis: scripts by digest, writes that replicas must confirm, errors of the store's
/// own kind.
struct RedisCalls: Sendable {
    /// For all but writes that replicas must confirm; its connections track what they read.
    let client: RedisClient
    /// For writes that replicas must confirm. Another than `client` where they must, as a connection that waits serves no one
    /// else.
    let confirming: RedisClient
    /// How many replicas must confirm a write.
    let waitReplicas: Int
    let waitMilliseconds: Int

    var isCluster: Bool { client.isCluster }

    // MARK: Commands

    func send(_ command: RedisCommand) async throws -> RESPValue {
        try await Self.translatingErrors { try await client.send(command) }
    }

    /// - Returns: a reply for each command, none of which is an error.
    func send(_ commands: [RedisCommand]) async throws -> [RESPValue] {
        try await Self.translatingErrors { try Self.checked(await client.send(pipeline: commands)) }
    }

    /// - Returns: a reply for each command, errors included.
    func sendUnchecked(_ commands: [RedisCommand]) async throws -> [RESPValue] {
        try await Self.translatingErrors { try await client.send(pipeline: commands) }
    }

    // MARK: Scripts and writes

    /// Sends a write that need not be confirmed by replicas: it matters for moments only, or is repaired when lost.
    func write(_ command: ScriptedCommand) async throws -> RESPValue { try await write([command])[0] }

    func write(_ commands: [ScriptedCommand]) async throws -> [RESPValue] {
        try await Self.translatingErrors(mayBeInPart: isCluster || commands.count > 1) {
            try Self.checked(await send(commands, to: client))
        }
    }

    /// Sends writes, in one round trip where they go to one server, and waits for the replicas if it must.
    ///
    /// - Returns: a reply for each command, none of which is an error.
    /// - Throws: ``SessionStoreError/Code/notReplicated`` when too few replicas have confirmed in time.
    func writeDurably(_ commands: [ScriptedCommand]) async throws -> [RESPValue] {
        try await writeDurably(commands, after: [])
    }

    /// The same.
    ///
    /// - Parameter notes: what to send just before, in the same round trip; what is answered to them, errors included, is of no
    ///   interest.
    func writeDurably(
        _ commands: [ScriptedCommand], after notes: [ScriptedCommand]
    ) async throws -> [RESPValue] {
        try await Self.translatingErrors(mayBeInPart: isCluster || commands.count > 1) {
            let replies = try await sendDurably(notes + commands, unchecked: notes.count)
            return try Self.checked(Array(replies.dropFirst(notes.count)))
        }
    }

    func writeDurably(_ command: ScriptedCommand) async throws -> RESPValue { try await writeDurably([command])[0] }

    /// Sends a transaction, and what belongs to it, as one group that is carried out or sent again as a whole.
    ///
    /// - Returns: a reply for each, `also` last, none of which is an error.
    /// - Throws: ``RedisServerError``, ``RedisClientError`` and ``SessionStoreError`` as they come: the caller must know.
    func writeTransaction(_ commands: [RedisCommand], also: [ScriptedCommand]) async throws -> [RESPValue] {
        let group = commands.map { ScriptedCommand($0) } + also
        guard waitReplicas == 0 else { return try await sendAndWait(group) }
        var replies = try await confirming.send(contiguous: group.map(\.command))
        if Self.missesScript(replies) {
            replies = try await sendAgain {
                try await confirming.send(contiguous: group.map { $0.withSource ?? $0.command })
            }
        }
        return try Self.checked(replies)
    }

    /// Sends again what was carried out in part: no error tells for certain any more that nothing was.
    private func sendAgain(_ body: () async throws -> [RESPValue]) async throws -> [RESPValue] {
        do {
            return try await body()
        } catch let error as RedisClientError {
            throw RedisFailure.storeError(error, mayBeInPart: true)
        }
    }

    /// - Parameter unchecked: how many of the first may be refused.
    private func sendDurably(_ commands: [ScriptedCommand], unchecked: Int) async throws -> [RESPValue] {
        guard waitReplicas > 0 else { return try await send(commands, to: confirming) }
        guard isCluster, commands.count > 1 else { return try await sendAndWait(commands, unchecked: unchecked) }
        // Each write is confirmed by the replicas of its own node.
        return try await withThrowingTaskGroup(of: (Int, RESPValue).self) { group in
            for (index, command) in commands.enumerated() {
                group.addTask { (index, try await sendAndWait([command])[0]) }
            }
            var replies = [RESPValue](repeating: .null, count: commands.count)
            for try await (index, reply) in group { replies[index] = reply }
            return replies
        }
    }

    private func sendAndWait(_ commands: [ScriptedCommand], unchecked: Int = 0) async throws -> [RESPValue] {
        var replies = try await sendContiguously(commands.map(\.command))
        if Self.missesScript(replies) {
            replies = try await sendAgain {
                try await sendContiguously(commands.map { $0.withSource ?? $0.command })
            }
        }
        let confirmation = replies.removeLast()
        // A write that was refused is the greater failure.
        for case .error(let error) in replies.dropFirst(unchecked) { throw error }
        // Redis ends the wait with an error (`UNBLOCKED`) when it becomes a replica meanwhile.
        if case .error(let error) = confirmation { throw SessionStoreError(.notReplicated, reason: error.description) }
        guard case .number(let confirmed) = confirmation else {
            throw RedisClientError(.protocolViolation, reason: "an unexpected reply to WAIT")
        }
        guard confirmed >= waitReplicas else {
            throw SessionStoreError(
                .notReplicated,
                reason: "\(confirmed) of the wanted \(waitReplicas) replicas confirmed the change in time")
        }
        return replies
    }

    private func sendContiguously(_ commands: [RedisCommand]) async throws -> [RESPValue] {
        try await confirming.send(
            contiguous: commands + [.wait(replicas: waitReplicas, milliseconds: waitMilliseconds)])
    }

    private func send(_ commands: [ScriptedCommand], to client: RedisClient) async throws -> [RESPValue] {
        let replies = try await client.send(pipeline: commands.map(\.command))
        guard Self.missesScript(replies) else { return replies }
        // All again, so that they are carried out in their order; each leaves the same state when sent twice.
        return try await client.send(pipeline: commands.map { $0.withSource ?? $0.command })
    }

    private static func missesScript(_ replies: [RESPValue]) -> Bool {
        replies.contains { if case .error(let error) = $0 { error.kind == .scriptUnknown } else { false } }
    }

    private static func checked(_ replies: [RESPValue]) throws -> [RESPValue] {
        for case .error(let error) in replies { throw error }
        return replies
    }

    static func translatingErrors<Value>(
        mayBeInPart: Bool = false, _ body: () async throws -> Value
    ) async throws -> Value {
        do {
            return try await body()
        } catch {
            throw RedisFailure.storeError(error, mayBeInPart: mayBeInPart)
        }
    }
}
