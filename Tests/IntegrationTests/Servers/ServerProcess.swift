import Foundation
import TestSupport

/// One `redis-server`, or sentinel, of several that a test runs, started from a file of settings.
final class ServerProcess: Sendable {
    let port: Int
    let directory: URL
    private let password: String?
    private let isSentinel: Bool
    private let certificates: TestCertificates?
    private let process = HeldProcess()

    /// Writes the settings; nothing is started.
    ///
    /// - Parameters:
    ///   - directory: of its own, made here.
    ///   - password: what `redis-cli` has to say to this server.
    ///   - certificates: for a server that speaks nothing but TLS, to its like as well.
    init(
        port: Int, directory: URL, settings: [String], password: String? = nil, isSentinel: Bool = false,
        certificates: TestCertificates? = nil
    ) throws {
        self.port = port
        self.directory = directory
        self.password = password
        self.isSentinel = isSentinel
        self.certificates = certificates
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let lines =
            ["bind 127.0.0.1", "dir \(directory.path)"] + (certificates?.settings(port: port) ?? ["port \(port)"])
            + settings
        try (lines.joined(separator: "\n") + "\n").write(to: settingsFile, atomically: true, encoding: .utf8)
    }

    private var settingsFile: URL { directory.appending(path: "settings.conf") }
    private var logFile: URL { directory.appending(path: "log") }

    /// What it has logged, in all its lives.
    var log: String { (try? String(contentsOf: logFile, encoding: .utf8)) ?? "" }

    /// Starts it; it may take a while until it answers.
    func start() throws {
        try process.start(
            RedisServer.program, [settingsFile.path] + (isSentinel ? ["--sentinel"] : []), log: logFile)
    }

    func waitUntilReady() async throws {
        try await eventually("the server on port \(port) answers") {
            guard isRunning else { throw Failure("a server ended: \(log)") }
            return try cli("PING") == "PONG"
        }
    }

    var isRunning: Bool { process.isRunning }

    /// kill -9.
    func kill() { process.kill() }
    /// Stops the process in its tracks; connections stay open and nothing is answered.
    func pause() { process.signal(SIGSTOP) }
    func resume() { process.signal(SIGCONT) }

    /// What `redis-cli` prints.
    @discardableResult
    func cli(_ arguments: String...) throws -> String {
        try Self.cli(["-p", "\(port)", "--raw"] + arguments, password: password, certificates: certificates)
    }

    /// What `redis-cli` prints.
    @discardableResult
    static func cli(
        _ arguments: [String], password: String? = nil, certificates: TestCertificates? = nil
    ) throws -> String {
        let process = Process()
        process.executableURL = RedisServer.find("redis-cli")
        process.arguments = (certificates.map { ["--tls", "--cacert", $0.path("ca.crt")] } ?? []) + arguments
        var environment = ProcessInfo.processInfo.environment
        environment["REDISCLI_AUTH"] = password
        process.environment = environment
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    /// The keys of the sessions that it has.
    func sessionKeys() throws -> Set<String> {
        Set(try cli("--scan", "--pattern", "session:*").split(separator: "\n").map(String.init))
    }

    /// Ports that are free, each with the one 10,000 above it, on which the node of a cluster talks to others.
    static func freePorts(_ count: Int) throws -> [Int] {
        var ports: Set<Int> = []
        for _ in 0..<10_000 where ports.count < count {
            let port = Int.random(in: 20_000..<32_000)
            if isFree(port), isFree(port + 10_000) { ports.insert(port) }
        }
        guard ports.count == count else { throw Failure("no free ports") }
        return Array(ports)
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
