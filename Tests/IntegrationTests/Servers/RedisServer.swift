import Foundation
import Synchronization
import TestSupport
import Testing

/// All tests with real servers, one after the other: on a machine of two cores, side by side they would take each other's
/// time away and so run into limits that are about Redis.
@Suite(.serialized, .enabled(if: RedisServer.isInstalled, "needs redis-server on the PATH"))
enum Integration {}

/// A real `redis-server` of a test's own, on a free port and in a scratch directory, ended with the test.
final class RedisServer: Sendable {
    /// Whether this machine has one; where it has none the tests say that they were skipped.
    static let isInstalled = find("redis-server") != nil
    /// The program that tests start as a server: this machine's own, unless a test says otherwise.
    @TaskLocal static var program = find("redis-server")

    let port: Int
    let directory: URL
    private let options: [String]
    private let portOption: String
    private let cliOptions: [String]
    private let process = HeldProcess()

    var url: String { "redis://127.0.0.1:\(port)/0" }

    /// Starts a server, gives it to `body`, and ends it whatever happens.
    ///
    /// - Parameters:
    ///   - portOption: for what the port is, `--port` or `--tls-port`.
    ///   - cli: what `redis-cli` needs beside the port.
    @discardableResult
    static func run<Result>(
        _ options: [String] = [], portOption: String = "--port", cli: [String] = [], isStarted: Bool = true,
        _ body: (RedisServer) async throws -> Result
    ) async throws -> Result {
        let server = try RedisServer(options, portOption: portOption, cli: cli)
        do {
            if isStarted { try await server.start() }
            let result = try await body(server)
            server.remove()
            return result
        } catch {
            server.remove()
            throw error
        }
    }

    private init(_ options: [String], portOption: String, cli: [String]) throws {
        self.options = options
        self.portOption = portOption
        self.cliOptions = cli
        self.port = try Self.freePort()
        self.directory = FileManager.default.temporaryDirectory.appending(path: "cloakroom-redis-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    func start() async throws {
        let log = directory.appending(path: "log")
        try process.start(
            Self.program,
            [
                "--bind", "127.0.0.1", "--port", "0", portOption, "\(port)", "--dir", directory.path, "--save", "",
                "--appendfsync",
                "always",
            ]
                + options, log: log)
        try await eventually("redis-server answers") {
            guard process.isRunning else {
                throw Failure("redis-server ended: \((try? String(contentsOf: log, encoding: .utf8)) ?? "")")
            }
            return (try? self.cli("PING")).map { $0 == "PONG" || $0.contains("NOAUTH") } ?? false
        }
    }

    /// kill -9.
    func kill() { process.kill() }
    /// Stops the process in its tracks; connections stay open and nothing is answered.
    func pause() { process.signal(SIGSTOP) }
    func resume() { process.signal(SIGCONT) }

    /// What `redis-cli` prints.
    @discardableResult
    func cli(_ arguments: String...) throws -> String {
        try ServerProcess.cli(["-p", "\(port)", "--raw"] + cliOptions + arguments)
    }

    /// The names of all keys but the notes of why sessions ended, which stay for ten minutes.
    func keys() throws -> [String] {
        try cli("KEYS", "*").split(separator: "\n").map(String.init).filter { !$0.contains("session-ended:") }.sorted()
    }

    private func remove() {
        resume()
        kill()
        try? FileManager.default.removeItem(at: directory)
    }

    static func find(_ program: String) -> URL? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .map { URL(fileURLWithPath: String($0)).appending(path: program) }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0
            }
        }
        guard isBound else { throw Failure("no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// Counts, from any task.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .relaxed) }
    func increment() { count.add(1, ordering: .relaxed) }
}
