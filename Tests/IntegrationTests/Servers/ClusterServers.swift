import Foundation
import TestSupport

/// A cluster of three primaries with a replica each, of a test's own, in a scratch directory, ended with the test.
final class ClusterServers: Sendable {
    let nodes: [ServerProcess]
    private let directory: URL
    private let certificates: TestCertificates?

    /// Starts a cluster, gives it to `body`, and ends it whatever happens.
    ///
    /// - Parameters:
    ///   - isJoined: whether the nodes form a cluster; otherwise none has any slot.
    ///   - certificates: for nodes that speak nothing but TLS.
    static func run<Result>(
        nodes count: Int = 6, isJoined: Bool = true, certificates: TestCertificates? = nil,
        _ body: (ClusterServers) async throws -> Result
    ) async throws -> Result {
        let cluster = try ClusterServers(count, certificates)
        defer { cluster.remove() }
        try await cluster.start()
        if isJoined { try await cluster.join() }
        return try await body(cluster)
    }

    private init(_ count: Int, _ certificates: TestCertificates?) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "cloakroom-cluster-\(UUID().uuidString)")
        self.directory = directory
        self.certificates = certificates
        nodes = try ServerProcess.freePorts(count).enumerated().map { number, port in
            try ServerProcess(
                port: port, directory: directory.appending(path: "node-\(number)"),
                settings: [
                    "save \"\"", "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000",
                    "repl-diskless-sync-delay 0", "cluster-replica-validity-factor 0",
                ], certificates: certificates)
        }
    }

    private func start() async throws {
        for node in nodes { try node.start() }
        for node in nodes { try await node.waitUntilReady() }
    }

    private func join() async throws {
        let addresses = nodes.map { "127.0.0.1:\($0.port)" }
        let output = try ServerProcess.cli(
            ["--cluster", "create"] + addresses + [
                "--cluster-replicas", nodes.count >= 6 ? "1" : "0", "--cluster-yes",
            ],
            certificates: certificates)
        try await eventually("the cluster is whole: \(output.suffix(300))") { try isWhole() }
        // A replica that was never in step can't take over.
        try await eventually("the replicas are in step") {
            try nodes.allSatisfy { node in
                let info = try node.cli("INFO", "replication")
                return info.contains("role:master") || info.contains("master_link_status:up")
            }
        }
    }

    /// Whether all nodes that run say that all slots are served.
    func isWhole() throws -> Bool {
        try nodes.filter(\.isRunning).allSatisfy { try $0.cli("CLUSTER", "INFO").contains("cluster_state:ok") }
    }

    private func remove() {
        for node in nodes { node.kill() }
        try? FileManager.default.removeItem(at: directory)
    }

    /// The URL for a client.
    var url: String {
        let scheme = certificates == nil ? "redis+cluster" : "rediss+cluster"
        return "\(scheme)://\(nodes.map { "127.0.0.1:\($0.port)" }.joined(separator: ","))"
    }

    /// The nodes that run and are primaries.
    func primaries() throws -> [ServerProcess] {
        try nodes.filter { $0.isRunning }.filter { try $0.cli("ROLE").hasPrefix("master") }
    }

    /// The keys of the sessions that the primaries have.
    func sessionKeys() throws -> Set<String> {
        try primaries().reduce(into: []) { keys, primary in keys.formUnion(try primary.sessionKeys()) }
    }

    /// The primary that has a slot, as it says itself.
    func owner(of slot: Int) throws -> ServerProcess {
        for node in try primaries() where try ranges(of: node).contains(where: { $0.contains(slot) }) { return node }
        throw Failure("no node has slot \(slot)")
    }

    /// The slots that a node says it has.
    func ranges(of node: ServerProcess) throws -> [ClosedRange<Int>] {
        let lines = try node.cli("CLUSTER", "NODES").split(separator: "\n")
        guard let own = lines.first(where: { $0.contains("myself") }) else { return [] }
        return own.split(separator: " ").dropFirst(8).compactMap { word in
            let bounds = word.split(separator: "-").compactMap { Int($0) }
            guard let first = bounds.first, let last = bounds.last, !word.hasPrefix("[") else { return nil }
            return first...last
        }
    }

    func id(of node: ServerProcess) throws -> String { try node.cli("CLUSTER", "MYID") }

    /// Begins to move a slot: from now on the old node asks for keys that it does not have at the new one (`ASK`).
    func beginMove(of slot: Int, from source: ServerProcess, to target: ServerProcess) throws {
        try target.cli("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", try id(of: source))
        try source.cli("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", try id(of: target))
    }

    /// Moves keys of a slot that is being moved.
    func move(_ keys: [String], from source: ServerProcess, to target: ServerProcess) throws {
        guard !keys.isEmpty else { return }
        try ServerProcess.cli(
            ["-p", "\(source.port)", "MIGRATE", "127.0.0.1", "\(target.port)", "", "0", "5000", "KEYS"] + keys)
    }

    /// Moves all keys of a slot that is being moved, and tells all primaries that it is there.
    func endMove(of slot: Int, from source: ServerProcess, to target: ServerProcess) throws {
        while true {
            let keys = try source.cli("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100").split(separator: "\n").map(
                String.init)
            guard !keys.isEmpty else { break }
            try move(keys, from: source, to: target)
        }
        let id = try id(of: target)
        try target.cli("CLUSTER", "SETSLOT", "\(slot)", "NODE", id)
        try source.cli("CLUSTER", "SETSLOT", "\(slot)", "NODE", id)
    }
}
