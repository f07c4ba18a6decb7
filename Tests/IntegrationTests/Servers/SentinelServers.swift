import Foundation
import TestSupport

/// A primary, two replicas and three sentinels of a test's own, in a scratch directory, ended with the test.
final class SentinelServers: Sendable {
    /// What the servers are to be like.
    struct Options: Sendable {
        /// The password of the servers.
        var password: String?
        /// The password of the sentinels.
        var sentinelPassword: String?
        /// Whether each write is on the disk before it is answered.
        var isAppendOnly = false
        /// How many replicas must be there for a write.
        var minimumReplicas: Int?
        /// For servers and sentinels that speak nothing but TLS.
        var certificates: TestCertificates?
    }

    /// What the sentinels call the primary.
    static let primaryName = "mymaster"

    /// The first is the primary in the beginning.
    let servers: [ServerProcess]
    let sentinels: [ServerProcess]
    private let directory: URL
    private let options: Options

    /// Starts them, gives them to `body`, and ends them whatever happens.
    static func run<Result>(
        _ options: Options = Options(), _ body: (SentinelServers) async throws -> Result
    ) async throws -> Result {
        let group = try SentinelServers(options)
        defer { group.remove() }
        try await group.start()
        return try await body(group)
    }

    private init(_ options: Options) throws {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "cloakroom-sentinel-\(UUID().uuidString)")
        let ports = try ServerProcess.freePorts(6)
        self.directory = directory
        self.options = options
        var common = [
            "save \"\"", "repl-diskless-sync-delay 0", "repl-timeout 5", "replica-announce-ip 127.0.0.1",
            "appendonly \(options.isAppendOnly ? "yes" : "no")", "appendfsync always",
        ]
        if let password = options.password { common += ["requirepass \(password)", "masterauth \(password)"] }
        if let count = options.minimumReplicas {
            common += ["min-replicas-to-write \(count)", "min-replicas-max-lag 2"]
        }
        servers = try (0..<3).map { number in
            try ServerProcess(
                port: ports[number], directory: directory.appending(path: "server-\(number)"),
                settings: common + (number > 0 ? ["replicaof 127.0.0.1 \(ports[0])"] : []), password: options.password,
                certificates: options.certificates)
        }
        let name = Self.primaryName
        var watch = [
            "sentinel monitor \(name) 127.0.0.1 \(ports[0]) 2", "sentinel down-after-milliseconds \(name) 1000",
            "sentinel failover-timeout \(name) 3000", "sentinel parallel-syncs \(name) 2",
        ]
        if let password = options.password { watch.append("sentinel auth-pass \(name) \(password)") }
        if let password = options.sentinelPassword {
            watch += ["requirepass \(password)", "sentinel sentinel-pass \(password)"]
        }
        sentinels = try (0..<3).map { number in
            try ServerProcess(
                port: ports[3 + number], directory: directory.appending(path: "sentinel-\(number)"),
                settings: watch, password: options.sentinelPassword, isSentinel: true,
                certificates: options.certificates)
        }
    }

    private func start() async throws {
        for server in servers { try server.start() }
        for server in servers { try await server.waitUntilReady() }
        try await eventually("the replicas are in step") {
            try servers[0].cli("INFO", "replication").contains("connected_slaves:2")
        }
        for sentinel in sentinels { try sentinel.start() }
        for sentinel in sentinels { try await sentinel.waitUntilReady() }
        try await eventually("the sentinels know the servers and each other") {
            try sentinels.allSatisfy { sentinel in
                let fields = try sentinel.cli("SENTINEL", "MASTER", Self.primaryName).split(separator: "\n")
                return field("num-slaves", of: fields) == "2" && field("num-other-sentinels", of: fields) == "2"
            }
        }
    }

    private func field(_ name: Substring, of fields: [Substring]) -> Substring? {
        fields.firstIndex(of: name).map { fields[$0 + 1] }
    }

    private func remove() {
        for process in sentinels + servers { process.kill() }
        try? FileManager.default.removeItem(at: directory)
    }

    /// The URL for a client, with the servers' password.
    var url: String { url(password: options.password) }

    /// The URL for a client that says this password to the servers.
    func url(password: String?, name: String = SentinelServers.primaryName) -> String {
        let hosts = sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
        let scheme = options.certificates == nil ? "redis+sentinel" : "rediss+sentinel"
        return "\(scheme)://\(password.map { ":\($0)@" } ?? "")\(hosts)/\(name)/0"
    }

    /// The server that the sentinels call the primary.
    func primary() throws -> ServerProcess {
        for sentinel in sentinels where sentinel.isRunning {
            let address = try sentinel.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.primaryName)
            guard let port = address.split(separator: "\n").last.flatMap({ Int($0) }),
                let server = servers.first(where: { $0.port == port })
            else { continue }
            return server
        }
        throw Failure("no sentinel knows the primary")
    }

    /// The keys of the sessions that the primary has.
    func sessionKeys() throws -> Set<String> { try primary().sessionKeys() }

    /// When the first sentinel announced that this server is the primary, by the sentinels' logs.
    func timeOfSwitch(to server: ServerProcess) -> Date? {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.dateFormat = "dd MMM yyyy HH:mm:ss.SSS"
        return sentinels.flatMap { $0.log.split(separator: "\n") }.filter {
            $0.contains("+switch-master") && $0.hasSuffix(" \(server.port)")
        }.compactMap { line in
            // "1234:X 24 Nov 2026 06:51:13.123 # +switch-master mymaster 127.0.0.1 20001 127.0.0.1 20002"
            format.date(from: line.split(separator: " ")[1...4].joined(separator: " "))
        }.min()
    }
}
