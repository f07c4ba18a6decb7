import Foundation
import Subprocess
import TestSupport
import Testing

@testable import CloakroomDemo

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// The program itself, as a terminal runs it.
@Suite("Demo: cloakroom demo --replicas", .serialized)
struct DemoProcessTests {
    private static let redisServer = ProgramSearch.find(
        "redis-server", path: ProcessInfo.processInfo.environment["PATH"])

    /// The program that was built beside these tests.
    private static var program: String {
        get throws {
            let bundles = Bundle.allBundles.map(\.bundlePath) + [CommandLine.arguments[0], Bundle.main.bundlePath]
            let folders = bundles.flatMap { path in
                [path, (path as NSString).deletingLastPathComponent].map { $0 + "/cloakroom" }
            }
            return try #require(
                folders.first { path in
                    var isDirectory: ObjCBool = false
                    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
                        && !isDirectory.boolValue
                })
        }
    }

    /// A stand-in for a replica, which tells its PID and stays.
    private func standIn(in directory: String) throws -> String {
        let path = directory + "/stand-in"
        let script =
            "#!/bin/sh\necho \"up as pid=$$, port $PORT, redis $REDIS_ENABLED, keys '$SESSION_KEYS', arguments '$*'\"\nexec sleep 1000\n"
        try script.write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        return path
    }

    private func pids(_ transcript: Transcript) -> [Int32] {
        transcript.lines.compactMap { line in
            guard let range = line.range(of: "pid=") else { return nil }
            return Int32(line[range.upperBound...].prefix { $0.isNumber })
        }
    }

    /// Runs the program with a scratch directory of its own.
    private func run(
        _ arguments: [String], environment: [Environment.Key: String] = [:], directory: String,
        _ transcript: Transcript, test: (Int32) async throws -> Void = { _ in }
    ) async throws -> TerminationStatus {
        var options = PlatformOptions()
        options.processGroupID = 0
        var all = environment
        all["PATH"] = environment["PATH"] ?? ProcessInfo.processInfo.environment["PATH"] ?? ""
        all["TMPDIR"] = directory
        let result = try await Subprocess.run(
            .path(FilePath(try Self.program)), arguments: Arguments(["demo"] + arguments), environment: .custom(all),
            platformOptions: options, input: .none, output: .sequence, error: .combinedWithOutput
        ) { execution in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await line in execution.standardOutput.strings() {
                        transcript.say(line)
                    }
                }
                try await test(execution.processIdentifier.value)
                try await group.waitForAll()
            }
        }
        return result.terminationStatus
    }

    private func withDirectory(_ test: (String) async throws -> Void) async throws {
        let scratch = try ScratchDirectory()
        defer { scratch.remove() }
        try await test(scratch.path)
    }

    @Test(
        "No orphan and no scratch directory is left after Ctrl-C or SIGTERM", .enabled(if: redisServer != nil),
        arguments: [SIGINT, SIGTERM, SIGHUP])
    func noOrphans(signal: Int32) async throws {
        try await withDirectory { directory in
            let transcript = Transcript()
            let port = try await LoopbackPort.firstFree(from: 20_000 + Int.random(in: 0..<10_000), except: [])
            let standIn = try standIn(in: directory)
            let temporary = directory + "/tmp"
            try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: false)
            let status = try await run(
                ["--port", "\(port)", "--replicas", "3", "--replica-program", standIn], directory: temporary, transcript
            ) { pid in
                try await eventually("three replicas and redis") { pids(transcript).count >= 4 }
                // As a terminal does: the signal goes to the whole process group.
                kill(-pid, signal)
            }
            #expect(status == .exited(0))
            let children = pids(transcript)
            #expect(children.count == 4)
            for pid in children {
                #expect(!isAlive(pid))
            }
            #expect(!transcript.contains("started again"))
            #expect(transcript.contains("[replica-3] up as pid="))
            #expect(transcript.contains("redis true"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: temporary) == [])
        }
    }

    @Test(
        "Replicas seal with a key that is in no argument, unless asked for the plain form",
        .enabled(if: redisServer != nil), arguments: [false, true])
    func sealing(plain: Bool) async throws {
        try await withDirectory { directory in
            let transcript = Transcript()
            let port = try await LoopbackPort.firstFree(from: 20_000 + Int.random(in: 0..<10_000), except: [])
            let standIn = try standIn(in: directory)
            let arguments = ["--port", "\(port)", "--replicas", "2", "--replica-program", standIn]
            _ = try await run(arguments + (plain ? ["--plain"] : []), directory: directory, transcript) { pid in
                try await eventually("two replicas") { keys(transcript).count >= 2 }
                kill(-pid, SIGINT)
            }
            let found = keys(transcript)
            #expect(found.count == 2 && Set(found).count == 1)
            #expect(plain ? found.first == "" : found[0].count >= 43)
            #expect(transcript.lines.count { $0.hasSuffix(", arguments 'serve'") } == 2)
        }
    }

    private func keys(_ transcript: Transcript) -> [String] {
        transcript.lines.compactMap { line in
            guard let range = line.range(of: "keys '") else { return nil }
            return String(line[range.upperBound...].prefix { $0 != "'" })
        }
    }

    @Test("The single demo serves the identity provider and the sample API, and ends on Ctrl-C")
    func single() async throws {
        try await withDirectory { directory in
            let transcript = Transcript()
            let port = try await LoopbackPort.firstFree(from: 20_000 + Int.random(in: 0..<10_000), except: [])
            let status = try await run(["--port", "\(port)"], directory: directory, transcript) { pid in
                try await eventually("discovery") {
                    let url = "http://localhost:\(port + 1)/.well-known/openid-configuration"
                    return (try? await fetch(url).body.contains("\"issuer\":\"http://localhost:\(port + 1)\"")) == true
                }
                try await eventually("the API") {
                    (try? await fetch("http://127.0.0.1:\(port + 2)/api/hello").status) == 200
                }
                kill(pid, SIGINT)
            }
            #expect(status == .exited(0))
            #expect(transcript.contains("for development only"))
        }
    }

    @Test("With REDIS_URL set no redis-server is started, and the URL's password is not printed")
    func givenRedis() async throws {
        try await withDirectory { directory in
            let transcript = Transcript()
            let port = try await LoopbackPort.firstFree(from: 20_000 + Int.random(in: 0..<10_000), except: [])
            let status = try await run(
                ["--port", "\(port)", "--replicas", "1", "--replica-program", try standIn(in: directory)],
                environment: ["REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"], directory: directory, transcript
            ) { pid in
                try await eventually("the replica") { transcript.contains("[replica-1] up") }
                kill(pid, SIGTERM)
            }
            #expect(status == .exited(0))
            #expect(pids(transcript).count == 1)
            #expect(!transcript.contains("[redis]") && !transcript.contains("hunter2"))
        }
    }

    @Test("Without a redis-server it says how to install one, and ends with code 69")
    func noRedisServer() async throws {
        try await withDirectory { directory in
            let transcript = Transcript()
            let port = try await LoopbackPort.firstFree(from: 20_000 + Int.random(in: 0..<10_000), except: [])
            let status = try await run(
                ["--port", "\(port)", "--replicas", "2"], environment: ["PATH": directory], directory: directory,
                transcript)
            #expect(status == .exited(69))
            for hint in ["apt install redis-server", "brew install redis", "dnf install redis", "REDIS_URL="] {
                #expect(transcript.contains(hint))
            }
        }
    }

    @Test("A port in use is told with what to do; a wrong number of replicas is a usage error")
    func wrongUse() async throws {
        try await withDirectory { directory in
            try await withService { onServerRunning in
                SampleAPI(
                    port: 0, issuer: "http://localhost:1", audience: "x", logger: quietLogger,
                    onServerRunning: onServerRunning)
            } test: { port in
                let transcript = Transcript()
                let status = try await run(["--port", "\(port)"], directory: directory, transcript)
                #expect(status == .exited(69))
                #expect(transcript.contains("Port \(port) is in use") && transcript.contains("cloakroom demo --port"))
            }
            for count in ["0", "17", "-1", "x"] {
                let status = try await run(["--replicas=\(count)"], directory: directory, Transcript())
                #expect(status == .exited(64))
            }
        }
    }
}
