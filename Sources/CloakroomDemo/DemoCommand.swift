package import ArgumentParser
import CloakroomGateway
import Logging

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// `cloakroom demo`.
package struct DemoCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Try it: nothing to install.",
        discussion: """
            Starts the gateway, an identity provider for development (users admin and user, password test) and a
            sample API, all on this machine only. Nothing is kept when it ends.

            With --replicas, several gateway processes share their sessions in Redis behind a small round-robin front:
            REDIS_URL if that is set, otherwise a redis-server of its own. Sessions are sealed there, with a key that is
            made for this run; with --plain they are in plain sight.

            EXAMPLES
              cloakroom demo
              cloakroom demo --port 9000
              cloakroom demo --replicas 3
              cloakroom demo --replicas 3 --plain
              REDIS_URL=redis://127.0.0.1:6379/0 cloakroom demo --replicas 3
            """,
        subcommands: [DemoProviderCommand.self]
    )

    @Option(help: "The port to open in the browser.")
    var port = 8020

    @Option(help: "Run this many gateway processes (1 to 16) that share their sessions in Redis.")
    var replicas: Int?

    @Flag(help: "With --replicas: keep sessions in Redis in the plain form, for anyone there to read.")
    var plain = false

    // For tests: what to run in place of this program's own `serve`.
    @Option(help: .hidden)
    var replicaProgram: String?

    package init() {}

    package func validate() throws {
        guard (1...65_535).contains(port) else {
            throw ValidationError("--port must be from 1 to 65535, not \(port).")
        }
        guard replicas.map({ (1...16).contains($0) }) ?? true else {
            throw ValidationError("--replicas must be from 1 to 16, not \(replicas ?? 0).")
        }
        guard !plain || replicas != nil else {
            throw ValidationError("--plain goes with --replicas: one process alone keeps its sessions in memory.")
        }
    }

    package func run() async throws {
        // A closed terminal must end in a tidy shutdown, not in a death that leaves children behind.
        signal(SIGPIPE, SIG_IGN)
        do {
            let plan = try await DemoPlan(port: port, seals: !plain)
            if let replicas {
                try await ReplicaDemo(plan: plan, count: replicas, program: replicaProgram).run()
            } else {
                try await SingleDemo(plan: plan).run()
            }
        } catch let problem as DemoProblem {
            Console.complain(problem.description)
            throw ExitCode(problem.exitCode)
        }
    }
}
