import Logging
import NIOCore

/// The server that sentinels call the primary, whichever it is at the time.
///
/// Each attempt to connect asks the sentinels anew, and a server that does not call itself a primary is not used.
///
/// Between the moment when a replica becomes the primary and the one when all sentinels say so lies a second or more, in
/// which the old primary, if it lives, goes on taking writes that it will lose. So all sentinels are listened to: when the
/// one that leads a failover announces that a replica is about to be promoted, commands wait here until the replica says
/// that it is the primary, and then go there.
final class SentinelGroup: Sendable {
    let node: RedisNode
    private let locator: SentinelLocator
    private let logger: Logger
    private let timeout: TimeAmount

    /// How long a sentinel, or a server that is asked for its role, has for its answer.
    private static let patience = TimeAmount.milliseconds(300)

    init(configuration: RedisClientConfiguration, resources: ConnectionResources, primaryName: String, logger: Logger) {
        let locator = SentinelLocator(
            sentinels: configuration.url.servers, primaryName: primaryName,
            options: SideConnection.Options(
                resources: resources, user: configuration.sentinelUser, password: configuration.sentinelPassword,
                clientName: configuration.clientName, timeout: Self.patience, limits: configuration.limits),
            serverOptions: SideConnection.Options(
                resources: resources, user: configuration.url.user, password: configuration.url.password,
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
            guard refusal == .whole || commands.isIdempotentAsGroup, NIODeadline.now() + Self.pause < deadline
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

    /// Keeps the connections, and listens to the sentinels, until ``shutDown()`` or cancellation.
    func run() async {
        let watch = PromotionWatch(locator: locator, node: node, logger: logger)
        let listeners = SentinelListeners(locator: locator, watch: watch, logger: logger)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.node.run() }
            group.addTask { await listeners.run() }
            group.addTask { await watch.run() }
            // The node ends by itself; the others do not.
            await group.next()
            group.cancelAll()
        }
    }

    func shutDown() { node.shutDown() }
}

extension RESPValue {
    var isReadOnlyError: Bool {
        if case .error(let error) = self { error.kind == .readOnly } else { false }
    }
}
