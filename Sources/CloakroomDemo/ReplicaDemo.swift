import AsyncHTTPClient
import CloakroomGateway
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import UnixSignals

/// Several gateway processes that share their sessions in Redis, behind one address.
struct ReplicaDemo {
    let plan: DemoPlan
    let count: Int
    /// What to run as a replica in place of this program, for tests.
    let program: String?
    private let inherited = ProcessInfo.processInfo.environment

    init(plan: DemoPlan, count: Int, program: String?) {
        self.plan = plan
        self.count = count
        self.program = program
    }

    func run() async throws {
        let scratch = try ScratchDirectory()
        defer { scratch.remove() }
        var taken: Set<Int> = [plan.port, plan.identityProviderPort, plan.sampleAPIPort]
        func nextPort() async throws -> Int {
            let port = try await LoopbackPort.firstFree(from: min(plan.port + 10, 65_000), except: taken)
            taken.insert(port)
            return port
        }

        var services: [any Service] = []
        let givenURL = inherited["REDIS_URL"].flatMap { $0.isEmpty ? nil : $0 }
        let redisURL: String
        if let givenURL {
            redisURL = givenURL
        } else {
            let redisPort = try await nextPort()
            services.append(ChildProcess(try redisServer(port: redisPort, directory: scratch.path)))
            redisURL = "redis://127.0.0.1:\(redisPort)/0"
        }
        var made: [Replica] = []
        for number in 1...count {
            let port = try await nextPort()
            let name = "replica-\(number)"
            let command = try replica(name: name, port: port, redisURL: redisURL, directory: scratch.path)
            made.append(Replica(name: name, port: port, process: ChildProcess(command)))
        }
        let replicas = made
        services.append(try plan.identityProvider { _ in })
        services.append(plan.sampleAPI { _ in })
        services.append(ChildProcessGroup(children: replicas.map(\.process)))
        services.append(RoundRobinFront(port: plan.port, backends: replicas.map(\.url), logger: plan.logger))
        services.append(
            ReadinessAnnouncer(replicas: replicas) { [plan] in
                let list = replicas.map { DemoText.Replica(name: $0.name, url: $0.url, pid: $0.process.pid) }
                return DemoText.replicas(plan, ownRedisURL: givenURL == nil ? redisURL : nil, replicas: list)
            })

        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigint, .sigterm, .sighup], logger: plan.logger)
        // Beyond this the services are cancelled, which ends the children too.
        configuration.maximumGracefulShutdownDuration = .seconds(20)
        try await ServiceGroup(configuration: configuration).run()
    }

    struct Replica: Sendable {
        let name: String
        let port: Int
        let process: ChildProcess

        var url: String { "http://127.0.0.1:\(port)" }
    }

    private func redisServer(port: Int, directory: String) throws -> ChildProcess.Command {
        guard let path = ProgramSearch.find("redis-server", path: inherited["PATH"]) else {
            throw DemoProblem(description: DemoText.noRedisServer)
        }
        return ChildProcess.Command(
            name: "redis", executable: path,
            arguments: [
                "--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--dir", directory,
                "--maxmemory-policy", "noeviction", "--loglevel", "warning",
            ],
            environment: baseEnvironment, directory: directory)
    }

    private func replica(
        name: String, port: Int, redisURL: String, directory: String
    ) throws -> ChildProcess.Command {
        var environment = baseEnvironment
        environment["CLOAKROOM_REPLICA_NAME"] = name
        environment["HOST"] = "127.0.0.1"
        environment["PORT"] = "\(port)"
        environment["PUBLIC_URL"] = plan.publicURL
        environment["UPSTREAM_URL"] = plan.upstreamURL
        environment["REDIS_ENABLED"] = "true"
        environment["REDIS_URL"] = redisURL
        environment["SESSION_KEYS"] = plan.sessionKey
        environment["OIDC_ISSUER"] = plan.issuer
        environment["OIDC_CLIENT_ID"] = plan.clientID
        environment["OIDC_CLIENT_SECRET"] = plan.clientSecret
        // The scratch directory has no .env file, whose settings would otherwise meddle.
        return ChildProcess.Command(
            name: name, executable: try program ?? ProgramSearch.current(), arguments: ["serve"],
            environment: environment, directory: directory)
    }

    /// What a program needs to run at all. The rest of our environment is left out: it may have settings of a gateway
    /// that isn't this demo's.
    private var baseEnvironment: [String: String] {
        let names = ["PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "LOG_LEVEL", "LOG_FORMAT", "LD_LIBRARY_PATH"]
        return inherited.filter { names.contains($0.key) }
    }
}

/// Waits until every replica says that it is ready, then tells what to try.
struct ReadinessAnnouncer: Service {
    let replicas: [ReplicaDemo.Replica]
    let text: @Sendable () -> String

    private static let slow = Duration.seconds(30)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            let start = ContinuousClock.now
            var hasComplained = false
            var waiting = replicas
            while !waiting.isEmpty {
                var unready: [ReplicaDemo.Replica] = []
                for replica in waiting {
                    if await !isReady(replica) {
                        unready.append(replica)
                    }
                }
                waiting = unready
                if !waiting.isEmpty, !hasComplained, ContinuousClock.now - start > Self.slow {
                    hasComplained = true
                    let names = waiting.map(\.name).joined(separator: ", ")
                    Console.say("Still waiting for \(names): see what they say above.")
                }
                if !waiting.isEmpty, (try? await Task.sleep(for: .milliseconds(100))) == nil {
                    return
                }
            }
            Console.say(text())
        }
        try await gracefulShutdown()
    }

    private func isReady(_ replica: ReplicaDemo.Replica) async -> Bool {
        let request = HTTPClientRequest(url: replica.url + "/readyz")
        let response = try? await HTTPClient.shared.execute(request, timeout: .seconds(2))
        return response?.status == .ok
    }
}
