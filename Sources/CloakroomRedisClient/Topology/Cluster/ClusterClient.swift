import Logging
import NIOCore
import Synchronization

/// The nodes of a cluster and the map of their slots: sends each command to the node that has its key.
final class ClusterClient: Sendable {
    /// A node and where it is.
    struct Member: Sendable {
        let endpoint: RedisEndpoint
        let node: RedisNode
    }

    private struct State {
        var map = SlotMap()
        /// A node for each of the map's primaries.
        var owners: [Member] = []
        var nodes: [RedisEndpoint: RedisNode] = [:]
        /// Whether something has shown that the map is out of date.
        var isMapWanted = false
        /// Why there is no map; `nil` if there is one.
        var failure: RedisClientError? = RedisClientError(.notConnected, reason: "not connected yet")
        var failingSince = NIODeadline.now()
        var isShutDown = false
    }

    private let configuration: RedisClientConfiguration
    private let resources: ConnectionResources
    private let logger: Logger
    private let mapOptions: SideConnection.Options
    private let timeout: TimeAmount
    let eventLoops: [any EventLoop]
    private let state = Mutex(State())
    /// Nodes that ``run()`` has to run.
    private let newNodes: AsyncStream<RedisNode>
    private let announce: AsyncStream<RedisNode>.Continuation

    init(configuration: RedisClientConfiguration, resources: ConnectionResources, logger: Logger) {
        self.configuration = configuration
        self.resources = resources
        self.logger = logger
        self.timeout = TimeAmount(configuration.commandTimeout)
        let url = configuration.url
        self.mapOptions = SideConnection.Options(
            resources: resources, user: url.user, password: url.password, clientName: configuration.clientName,
            timeout: min(TimeAmount(configuration.connectTimeout), .milliseconds(500)), limits: configuration.limits)
        self.eventLoops = RedisNode.chooseEventLoops(for: configuration)
        (newNodes, announce) = AsyncStream.makeStream()
    }

    /// Until when a command that is given now may take.
    var deadline: NIODeadline { .now() + timeout }

    // MARK: Nodes

    /// The node to send a command to, waited for while there is no map yet.
    ///
    /// - Parameter slot: `nil` for any node.
    func member(
        _ target: ClusterAttempt.Target, slot: Int?, deadline: NIODeadline
    ) async throws -> Member {
        while true {
            let (member, error, since) = state.withLock { state in
                (find(target, slot: slot, &state), state.failure, state.failingSince)
            }
            if let member { return member }
            let reason = error ?? RedisClientError(.notConnected, reason: "no node of the cluster has the key's slot")
            let now = NIODeadline.now()
            // Who comes long after a failure need not wait for the same to happen again.
            guard reason.code != .shutDown, now < deadline, error == nil || now < since + timeout else { throw reason }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// The node that has a slot by the map as it is now.
    func owner(of slot: Int?) -> RedisEndpoint? {
        guard let slot else { return nil }
        return state.withLock { $0.map.owner(of: slot) }
    }

    private func find(_ target: ClusterAttempt.Target, slot: Int?, _ state: inout State) -> Member? {
        guard !state.isShutDown else { return nil }
        switch target {
        case .moved(let endpoint), .ask(let endpoint):
            return node(at: endpoint, &state).map { Member(endpoint: endpoint, node: $0) }
        case .owner:
            if let slot {
                guard let index = state.map.ownerIndex(of: slot), index < state.owners.count else {
                    state.isMapWanted = true
                    return nil
                }
                return state.owners[index]
            }
            return state.owners.first { $0.node.isUp } ?? state.owners.first
        }
    }

    private func node(at endpoint: RedisEndpoint, _ state: inout State) -> RedisNode? {
        if let node = state.nodes[endpoint] { return node }
        guard state.nodes.count < 2 * SlotMap.maximumNodeCount else { return nil }
        var logger = logger
        logger[metadataKey: "node"] = "\(endpoint)"
        let node = RedisNode(
            configuration: configuration, resources: resources, logger: logger, eventLoops: eventLoops,
            locate: { endpoint })
        state.nodes[endpoint] = node
        announce.yield(node)
        return node
    }

    // MARK: What commands find out

    /// Tells that a slot has another node than the map says.
    func moved(_ slot: Int, to endpoint: RedisEndpoint) {
        let hasChanged = state.withLock { state in
            state.isMapWanted = true
            guard !state.isShutDown, state.map.owner(of: slot) != endpoint, let node = node(at: endpoint, &state),
                let index = state.map.assign(slot, to: endpoint)
            else { return false }
            if index == state.owners.count { state.owners.append(Member(endpoint: endpoint, node: node)) }
            return true
        }
        if hasChanged { resources.tracking?.interrupt() }
    }

    /// Tells that the map may be out of date.
    func wantMap() { state.withLock { $0.isMapWanted = true } }

    // MARK: The map

    /// The nodes that have slots.
    ///
    /// - Throws: ``RedisClientError`` if there is no map, even after a wait.
    func members() async throws -> [Member] {
        _ = try await member(.owner, slot: nil, deadline: deadline)
        return state.withLock { state in state.owners.filter { state.map.hasSlots($0.endpoint) } }
    }

    /// The node that is here, if it still has slots.
    func primary(at endpoint: RedisEndpoint) -> RedisNode? {
        state.withLock { state in state.map.hasSlots(endpoint) ? state.nodes[endpoint] : nil }
    }

    private func keepMap() async {
        var schedule = RefreshSchedule()
        while !Task.isCancelled, !state.withLock({ $0.isShutDown }) {
            let isWanted = state.withLock { state in
                state.isMapWanted || state.failure != nil || state.owners.contains { !$0.node.isUp }
            }
            if schedule.isDue(now: .now(), isWanted: isWanted) {
                state.withLock { $0.isMapWanted = false }
                let hasChanged = await refresh()
                schedule.refreshed(now: .now(), wasWanted: isWanted, hasChanged: hasChanged)
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// How many nodes are asked for a map without gaps before one with gaps is taken.
    private static let maximumAnswers = 3

    /// Asks nodes in turn for the map.
    ///
    /// - Returns: whether it is another one than before.
    private func refresh() async -> Bool {
        var best: SlotMap?
        var failure = RedisClientError(.notConnected, reason: "no node of the cluster can be reached")
        var answers = 0
        for endpoint in candidates() where answers < Self.maximumAnswers {
            guard !Task.isCancelled, !state.withLock({ $0.isShutDown }) else { return false }
            do {
                let map = try await askForMap(endpoint)
                answers += 1
                if map.coveredCount > best?.coveredCount ?? -1 { best = map }
                if map.isComplete { break }
            } catch let error as RedisClientError {
                failure = Self.failure(error)
            } catch {
                failure = RedisClientError(.notConnected, reason: ConnectionFailure.describe(error))
            }
        }
        if let best, best.coveredCount > 0 { return install(best) }
        if best != nil { failure = RedisClientError(.notConnected, reason: "the cluster's nodes have no slots") }
        fail(failure)
        return false
    }

    private static func failure(_ error: RedisClientError) -> RedisClientError {
        switch error.code.kind {
        case .handshakeRefused: error
        default:
            RedisClientError(
                .notConnected, reason: "no node of the cluster can be reached (the last one: \(error.reason))")
        }
    }

    /// Whom to ask: nodes that are up, then those of the URL, then all others.
    private func candidates() -> [RedisEndpoint] {
        let (up, down, others) = state.withLock { state in
            (
                state.owners.filter { $0.node.isUp }.map(\.endpoint),
                state.owners.filter { !$0.node.isUp }.map(\.endpoint), state.map.others
            )
        }
        var seen: Set<RedisEndpoint> = []
        return (up.shuffled() + configuration.url.servers + others.shuffled() + down).filter {
            seen.insert($0).inserted
        }
    }

    private func askForMap(_ endpoint: RedisEndpoint) async throws -> SlotMap {
        let replies = try await SideConnection.ask([.clusterShards, .clusterSlots], of: endpoint, mapOptions)
        do throws(SlotMap.Failure) {
            return try SlotMap(
                shards: replies[0], slots: replies[1], asked: endpoint, isTLS: configuration.url.isTLS)
        } catch {
            switch error {
            case .notCluster:
                throw RedisClientError(.handshakeRefused, reason: "the server is not a node of a cluster")
            case .refused(let refusal):
                throw RedisClientError(
                    refusal.kind == .notPermitted ? .handshakeRefused : .notConnected,
                    reason: "CLUSTER SLOTS: \(refusal)")
            case .malformed:
                throw RedisClientError(.protocolViolation, reason: "its map of the cluster can't be understood")
            }
        }
    }

    private func fail(_ error: RedisClientError) {
        state.withLock { state in
            // A map that was good is better than none.
            guard state.failure != nil else { return }
            state.failure = error
        }
    }

    private func install(_ map: SlotMap) -> Bool {
        let (gone, hasChanged, hasLostSlots) = state.withLock { state -> ([RedisNode], Bool, Bool) in
            guard !state.isShutDown else { return ([], false, false) }
            state.failure = nil
            guard map != state.map else { return ([], false, false) }
            let hasChanged = state.map.coveredCount != map.coveredCount
            let hasLostSlots = state.map.hasLostSlots(to: map)
            let known = Set(map.primaries).union(map.others)
            // A node without slots may be about to get some, and commands may be on their way to it.
            let gone = state.nodes.filter { !known.contains($0.key) }
            for endpoint in gone.keys { state.nodes[endpoint] = nil }
            // A primary that has become a replica, or is dead, keeps no connection.
            let demoted = state.owners.filter { !map.primaries.contains($0.endpoint) }.map(\.endpoint)
            var left = Array(gone.values)
            for endpoint in demoted {
                if let node = state.nodes.removeValue(forKey: endpoint) { left.append(node) }
            }
            state.map = map
            state.owners = map.primaries.compactMap { endpoint in
                node(at: endpoint, &state).map { Member(endpoint: endpoint, node: $0) }
            }
            return (left, hasChanged || hasLostSlots, hasLostSlots)
        }
        for node in gone { node.shutDown() }
        if hasLostSlots { resources.tracking?.interrupt() }
        return hasChanged
    }

    // MARK: Life

    /// Keeps the map and the connections until ``shutDown()`` or cancellation.
    func run() async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.keepMap() }
                for await node in newNodes { group.addTask { await node.run() } }
            }
        } onCancel: {
            shutDown()
        }
    }

    /// Refuses further commands and waits for the replies to those that were given.
    func shutDown() {
        let nodes = state.withLock { state in
            state.isShutDown = true
            state.failure = RedisClientError(.shutDown, reason: "the Redis client was shut down")
            return Array(state.nodes.values)
        }
        for node in nodes { node.shutDown() }
        announce.finish()
    }

    /// How many requests were sent and have no reply yet.
    func inFlightCount() async -> Int {
        var count = 0
        for node in state.withLock({ Array($0.nodes.values) }) { count += await node.inFlightCount() }
        return count
    }
}
