/// Which node of a cluster has which slots, as far as is known.
struct SlotMap: Equatable {
    /// More nodes than this are not taken: Redis itself names 1,000 as the limit of a cluster.
    static let maximumNodeCount = 1_000

    private static let none = UInt16.max

    /// For each slot the position of its node in `primaries`.
    private var owners = [UInt16](repeating: SlotMap.none, count: HashSlot.count)
    /// The nodes that have slots, or had.
    private(set) var primaries: [RedisEndpoint] = []
    /// Other nodes: replicas, and primaries without slots. They can be asked for the map.
    private(set) var others: [RedisEndpoint] = []
    /// How many slots have a node.
    private(set) var coveredCount = 0

    /// Nobody has any slot.
    init() {}

    /// Whether every slot has a node.
    var isComplete: Bool { coveredCount == HashSlot.count }

    /// The position in ``primaries`` of the node that has a slot.
    func ownerIndex(of slot: Int) -> Int? {
        let owner = owners[slot]
        return owner == Self.none ? nil : Int(owner)
    }

    /// The node that has a slot.
    func owner(of slot: Int) -> RedisEndpoint? { ownerIndex(of: slot).map { primaries[$0] } }

    /// Whether a node has any slot.
    func hasSlots(_ endpoint: RedisEndpoint) -> Bool {
        guard let index = primaries.firstIndex(of: endpoint) else { return false }
        return owners.contains(UInt16(index))
    }

    /// Gives a slot to a node.
    ///
    /// - Returns: the position of the node; `nil` if there are too many nodes.
    @discardableResult
    mutating func assign(_ slot: Int, to endpoint: RedisEndpoint) -> Int? {
        let index: Int
        if let known = primaries.firstIndex(of: endpoint) {
            index = known
        } else {
            guard primaries.count < Self.maximumNodeCount else { return nil }
            index = primaries.count
            primaries.append(endpoint)
        }
        if owners[slot] == Self.none { coveredCount += 1 }
        owners[slot] = UInt16(index)
        return index
    }

    /// Whether any slot that had a node has another one in a newer map, or none.
    func hasLostSlots(to newer: SlotMap) -> Bool {
        // Compared by places in the lists of nodes: a map has 16,384 slots and few nodes.
        let places = primaries.map { node in newer.primaries.firstIndex(of: node).map { UInt16($0) } }
        return (0..<HashSlot.count).contains { slot in
            let before = owners[slot]
            return before != Self.none && places[Int(before)] != newer.owners[slot]
        }
    }
}

extension SlotMap {
    /// Why what a node answered is no map.
    enum Failure: Error, Equatable {
        /// The server is not a node of a cluster.
        case notCluster
        /// The server answered with an error.
        case refused(RedisServerError)
        /// The answer has another form than it ought to have.
        case malformed
    }

    /// Builds the map from the answers to `CLUSTER SHARDS` and `CLUSTER SLOTS`.
    ///
    /// The first is preferred (Redis 7.0 and newer know it); of slots that it names no living node for, which some versions
    /// do after a failover, the second tells.
    ///
    /// - Parameters:
    ///   - asked: the node that answered; a node without a host in the answer is on its host.
    ///   - isTLS: whether the ports for TLS are meant.
    init(shards: RESPValue, slots: RESPValue, asked: RedisEndpoint, isTLS: Bool) throws(Failure) {
        self.init()
        let hasShards = try readShards(shards, asked: asked, isTLS: isTLS)
        let hasSlots = try readSlots(slots, asked: asked)
        guard hasShards || hasSlots else {
            guard case .error(let error) = slots else { throw .malformed }
            // "ERR This instance has cluster support disabled"
            throw error.kind == .unspecified ? .notCluster : .refused(error)
        }
    }

    // MARK: CLUSTER SHARDS

    /// - Returns: `false` if the server does not answer the command.
    private mutating func readShards(_ reply: RESPValue, asked: RedisEndpoint, isTLS: Bool) throws(Failure) -> Bool {
        if case .error = reply { return false }
        guard let shards = reply.elements else { throw .malformed }
        for shard in shards {
            guard let bounds = shard.field("slots")?.elements, let nodes = shard.field("nodes")?.elements,
                bounds.count.isMultiple(of: 2)
            else { throw .malformed }
            var primary: RedisEndpoint?
            var isAlive = false
            for node in nodes {
                guard let endpoint = Self.endpoint(ofShardNode: node, asked: asked, isTLS: isTLS) else { continue }
                // After a failover the dead primary may still be called one.
                let isOnline = node.field("health")?.shortText == "online"
                if node.field("role")?.shortText == "master", primary == nil || (isOnline && !isAlive) {
                    if let primary { addOther(primary) }
                    (primary, isAlive) = (endpoint, isOnline)
                } else {
                    addOther(endpoint)
                }
            }
            guard let primary else { continue }
            if bounds.isEmpty { addOther(primary) }
            for index in stride(from: 0, to: bounds.count, by: 2) {
                let range = try Self.range(from: bounds[index], through: bounds[index + 1])
                if isAlive { claim(range, for: primary) } else { addOther(primary) }
            }
        }
        return true
    }

    private static func endpoint(ofShardNode node: RESPValue, asked: RedisEndpoint, isTLS: Bool) -> RedisEndpoint? {
        guard let port = node.field(isTLS ? "tls-port" : "port")?.integerOrDigits, (1...65_535).contains(port) else {
            return nil
        }
        switch node.field("endpoint") {
        case .some(.null): return ServerAddress.endpoint(port: port, besides: asked)
        case .some(let value):
            guard let host = value.shortText else { return nil }
            if host.isEmpty { return ServerAddress.endpoint(port: port, besides: asked) }
            return ServerAddress.endpoint(host: host, port: port)
                ?? ServerAddress.endpoint(host: node.field("ip")?.shortText, port: port)
        case .none: return ServerAddress.endpoint(host: node.field("ip")?.shortText, port: port)
        }
    }

    // MARK: CLUSTER SLOTS

    /// - Returns: `false` if the server does not answer the command.
    private mutating func readSlots(_ reply: RESPValue, asked: RedisEndpoint) throws(Failure) -> Bool {
        if case .error = reply { return false }
        guard let entries = reply.elements else { throw .malformed }
        for entry in entries {
            guard let parts = entry.elements, parts.count >= 3 else { throw .malformed }
            let range = try Self.range(from: parts[0], through: parts[1])
            for (index, part) in parts.dropFirst(2).enumerated() {
                guard let node = part.elements, node.count >= 2 else { throw .malformed }
                guard let port = node[1].integerOrDigits, (1...65_535).contains(port),
                    let endpoint = Self.endpoint(host: node[0], port: port, asked: asked)
                else { continue }
                if index == 0 { claim(range, for: endpoint) } else { addOther(endpoint) }
            }
        }
        return true
    }

    private static func endpoint(host: RESPValue, port: Int, asked: RedisEndpoint) -> RedisEndpoint? {
        if host == .null || host.shortText?.isEmpty == true {
            return ServerAddress.endpoint(port: port, besides: asked)
        }
        return ServerAddress.endpoint(host: host.shortText, port: port)
    }

    // MARK: Both

    private static func range(from first: RESPValue, through last: RESPValue) throws(Failure) -> ClosedRange<Int> {
        guard let first = first.integerOrDigits, let last = last.integerOrDigits, first >= 0, first <= last,
            last < HashSlot.count
        else {
            throw .malformed
        }
        return first...last
    }

    /// Gives slots to a node that no one has yet.
    private mutating func claim(_ range: ClosedRange<Int>, for endpoint: RedisEndpoint) {
        guard let first = range.first(where: { owners[$0] == Self.none }), let index = assign(first, to: endpoint)
        else {
            return
        }
        for slot in first...range.upperBound where owners[slot] == Self.none {
            owners[slot] = UInt16(index)
            coveredCount += 1
        }
    }

    private mutating func addOther(_ endpoint: RedisEndpoint) {
        guard others.count < Self.maximumNodeCount, !others.contains(endpoint) else { return }
        others.append(endpoint)
    }
}
