import Foundation
import ServiceLifecycle
import TestSupport
import Testing

@testable import CloakroomDemo

@Suite("Demo: child processes")
struct ChildProcessTests {
    private func shell(_ script: String) -> ChildProcess.Command {
        .init(name: "child", executable: "/bin/sh", arguments: ["-c", script], environment: ["PATH": "/usr/bin:/bin"])
    }

    /// Runs a child, and ends it as the demo does.
    private func withChild(
        _ command: ChildProcess.Command, _ transcript: Transcript, test: (ChildProcess) async throws -> Void
    ) async throws {
        let child = ChildProcess(command, say: transcript.say)
        let group = ServiceGroup(
            configuration: .init(services: [.init(service: child)], logger: quietLogger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await test(child)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test("What it prints gets its name in front; what it was given is all of its environment")
    func output() async throws {
        let transcript = Transcript()
        var command = shell("echo one; echo two >&2; env | sort | tr '\\n' ' '; echo; exec sleep 100")
        command.environment["CLOAKROOM_REPLICA_NAME"] = "replica-7"
        try await withChild(command, transcript) { _ in
            try await eventually("all lines") { transcript.lines.count >= 3 }
        }
        #expect(transcript.contains("[child] one") && transcript.contains("[child] two"))
        let environment = try #require(transcript.lines.first { $0.contains("CLOAKROOM_REPLICA_NAME=replica-7") })
        #expect(!environment.contains("HOME="))
    }

    @Test("It is started again after kill -9, and says so")
    func restart() async throws {
        let transcript = Transcript()
        try await withChild(shell("exec sleep 100"), transcript) { child in
            try await eventually("the first start") { child.pid != nil }
            let first = try #require(child.pid)
            kill(first, SIGKILL)
            try await eventually("another start") { child.pid.map { $0 != first } ?? false }
            #expect(transcript.contains("signal 9"))
            try await eventually("a word about it") { transcript.contains("runs again, PID") }
            #expect(!isAlive(first))
        }
    }

    @Test(
        "No child is left, not even one that ignores SIGTERM",
        arguments: ["exec sleep 100", "trap '' TERM; while :; do sleep 0.1; done"])
    func ended(script: String) async throws {
        let transcript = Transcript()
        let pids = Transcript()
        try await withChild(shell("echo up; " + script), transcript) { child in
            try await eventually("its start") { transcript.contains("up") }
            pids.say("\(try #require(child.pid))")
            // A group of its own, so that Ctrl-C does not reach it before us.
            #expect(getpgid(try #require(child.pid)) == child.pid)
        }
        let pid = try #require(pids.lines.first.flatMap { Int32($0) })
        #expect(!isAlive(pid))
        #expect(!transcript.contains("started again"))
    }

    @Test("A program that isn't there is told, not a crash")
    func missingProgram() async throws {
        let transcript = Transcript()
        let command = ChildProcess.Command(name: "child", executable: "/nonexistent/program")
        try await withChild(command, transcript) { _ in
            try await eventually("a word about it") { transcript.contains("could not be run") }
        }
    }
}
