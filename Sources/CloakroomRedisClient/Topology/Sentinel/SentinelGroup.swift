import Logging
import NIOCore

/// The server that sentinels call the primary, whichever it is at the time.
///
/// Each attempt to connect asks the sentinels anew, and a server that does not call itself a primary is not used. What
/// the sentinels announce only saves time.
final class SentinelGroup: Sendable {
    let node: RedisNode
    private let locator: SentinelLocator
    private let logger: Logger
    private let timeout: TimeAmount

    /// How long a sentinel has for its answer.
    private static let patience = TimeAmount.milliseconds(300)

    init(configuration: RedisClientConfiguration, resources: ConnectionResources, primaryName: String, logger: Logger) {
        let locator = SentinelLocator(
            sentinels: configuration.url.servers, primaryName: primaryName,
            options: SideConnection.Options(
                resources: resources, user: configuration.sentinelUser, password: configuration.sentinelPassword,
                clientName: configuration.clientName, timeout: Self.patience, limits: configuration.limits))
        self.locator = locator
        self.logger = logger
        self.timeout = TimeAmount(configuration.commandTimeout)
        self.node = RedisNode(
            configuration: configuration, resources: resources, logger: logger, greeting: [.role],
            accept: { replies in
                try SentinelReply.requirePrimary(replies)
                locator.confirmed()
            },
            locate: { try await locator.locate() })
    }

    /// The name of where the primary was when it was last located.
    var primaryID: String { (locator.lastLocation?.description) ?? locator.primaryName }

    // MARK: Commands

    /// - Returns: the reply, errors included.
    func send(_ command: RedisCommand) async throws -> RESPValue {
        let deadline = NIODeadline.now() + timeout
        let reply = try await node.send(command, deadline: deadline)
        guard reply.isReadOnlyError else { return reply }
        return try await sendAgain([command], [reply], deadline)[0]
    }

    /// - Returns: a reply for each, errors included.
    func send(pipeline commands: [RedisCommand]) async throws -> [RESPValue] {
        let deadline = NIODeadline.now() + timeout
        let replies = try await node.send(pipeline: commands, deadline: deadline)
        guard replies.contains(where: \.isReadOnlyError) else { return replies }
        return try await sendAgain(commands, replies, deadline)
    }

    /// Sends commands as one group over one connection. If the server refuses because it is not the primary any more, all
    /// of them are sent again, never some: a part of a transaction outside of it would be something else.
    ///
    /// - Returns: a reply for each, errors included.
    func send(contiguous commands: [RedisCommand]) async throws -> [RESPValue] {
        let deadline = NIODeadline.now() + timeout
        var wasCarriedOutInPart = false
        while true {
            let replies: [RESPValue]
            do {
                replies = try await node.send(pipeline: commands, deadline: deadline)
            } catch let error as RedisClientError {
                throw error.ending(wasSent: wasCarriedOutInPart || !error.isCertainlyNotCarriedOut)
            }
            let refusal = GroupRefusal(commands, replies)
            guard refusal != .none else { return replies }
            giveUpReplica()
            wasCarriedOutInPart = wasCarriedOutInPart || refusal == .inPart
            guard refusal == .whole || commands.allSatisfy(\.isIdempotent), NIODeadline.now() + Self.pause < deadline
            else { return replies }
            try await Task.sleep(for: .nanoseconds(Self.pause.nanoseconds))
        }
    }

    /// Sends those commands again that a server refused because it is not the primary any more: it has not carried them
    /// out. Until the deadline; then the refusal is the reply.
    private func sendAgain(
        _ commands: [RedisCommand], _ replies: [RESPValue], _ deadline: NIODeadline
    ) async throws -> [RESPValue] {
        var replies = replies
        while true {
            let refused = replies.indices.filter { replies[$0].isReadOnlyError }
            guard !refused.isEmpty else { return replies }
            giveUpReplica()
            guard NIODeadline.now() + Self.pause < deadline else { return replies }
            try await Task.sleep(for: .nanoseconds(Self.pause.nanoseconds))
            let again = try await node.send(pipeline: refused.map { commands[$0] }, deadline: deadline)
            for (index, reply) in zip(refused, again) { replies[index] = reply }
        }
    }

    /// For the connection to be given up before commands are sent again.
    private static let pause = TimeAmount.milliseconds(20)

    private func giveUpReplica() {
        node.relocate(
            RedisClientError(.connectionLost, reason: "the server has become a replica and refuses to write"))
    }

    // MARK: Life

    /// Keeps the connections, and listens to a sentinel, until ``shutDown()`` or cancellation.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.node.run() }
            group.addTask { await self.listen() }
            // The node ends by itself; the listener does not.
            await group.next()
            group.cancelAll()
        }
    }

    func shutDown() { node.shutDown() }

    /// Listens to one sentinel after the other.
    private func listen() async {
        var backoff = Backoff(first: .milliseconds(100), limit: .seconds(2))
        var generator = SystemRandomNumberGenerator()
        var position = 0
        while !Task.isCancelled {
            let sentinels = locator.sentinels
            let sentinel = sentinels[position % sentinels.count]
            do {
                let connection = try await SideConnection.open(sentinel, locator.options)
                defer { connection.close() }
                try await listen(to: connection) { backoff.reset() }
            } catch {
                logger.debug(
                    "No word from a sentinel", metadata: ["reason": "\(ConnectionFailure.describe(error))"])
            }
            position += 1
            try? await Task.sleep(for: backoff.delay(using: &generator))
        }
    }

    /// How often a sentinel is asked, though it would say by itself: a sign of life, and a message may have been missed.
    private static let questionInterval = Duration.seconds(1)

    private func listen(to connection: SideConnection, whenHeard: () -> Void) async throws {
        let name = locator.primaryName
        let question = SentinelLocator.question(name)
        guard heard(try await connection.ask(question, after: .subscribe(SentinelReply.switchChannel))) else { return }
        whenHeard()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while true {
                    try await Task.sleep(for: Self.questionInterval)
                    guard self.heard(try await connection.ask(question)) else { return }
                }
            }
            group.addTask {
                for await push in connection.pushes {
                    if let primary = SentinelReply.switched(push, primaryName: name) {
                        self.logger.notice("Sentinel made another server the primary")
                        self.learned(primary)
                    }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// - Returns: `false` if the sentinel does not know the primary, and is not worth listening to.
    private func heard(_ replies: [RESPValue]) -> Bool {
        guard case .at(let primary) = SentinelReply.address(replies[0]) else { return false }
        if locator.heard(epoch: SentinelReply.epoch(replies[1])) { learned(primary) }
        return true
    }

    private func learned(_ primary: RedisEndpoint) {
        guard locator.learned(primary) else { return }
        node.relocate(RedisClientError(.connectionLost, reason: "the sentinels made another server the primary"))
    }
}

extension RESPValue {
    var isReadOnlyError: Bool {
        if case .error(let error) = self { error.kind == .readOnly } else { false }
    }
}
