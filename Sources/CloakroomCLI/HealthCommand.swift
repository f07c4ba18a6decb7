import ArgumentParser
import AsyncHTTPClient
import Cloakroom
import CloakroomGateway
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL

struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health",
        abstract: "Ask the gateway on this machine whether it is ready; for health checks of containers.",
        discussion: """
            Asks /readyz, at MANAGEMENT_ADDRESS if that is set, else at PORT. Prints one line.

            EXAMPLES
              HEALTHCHECK CMD ["/usr/local/bin/cloakroom", "health"]

              Whether it is alive, whatever Redis does:
                cloakroom health --live

            EXIT CODES
              0 ready, 1 not ready or no answer, 78 wrong setting
            """
    )

    /// How long the answer may take.
    private static let deadline = TimeAmount.seconds(3)

    @OptionGroup var options: SettingsOptions
    @Flag(help: "Ask /healthz: whether it is alive.")
    var live = false
    @Option(help: ArgumentHelp("Ask this URL instead.", valueName: "url"))
    var url: String?
    @Flag(help: "Print a JSON object.")
    var json = false

    func run() async throws {
        try await failing {
            let asked = try await address()
            var configuration = HTTPClient.Configuration(
                redirectConfiguration: .disallow, timeout: .init(connect: Self.deadline))
            // To this very machine: the certificate is for the name that browsers use.
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.certificateVerification = .none
            configuration.tlsConfiguration = tls
            let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
            let result = await ask(client, asked)
            try? await client.shutdown()
            let (isHealthy, line) = result
            if json {
                Console.say(
                    SessionText.json(["ok": .bool(isHealthy), "url": .string(asked), "detail": .string(line)]))
            } else {
                Console.say("\(asked): \(line)")
            }
            if !isHealthy { throw ExitCode.failure }
        }
    }

    private func ask(_ client: HTTPClient, _ url: String) async -> (Bool, String) {
        do {
            let response = try await client.execute(HTTPClientRequest(url: url), timeout: Self.deadline)
            let body = String(buffer: (try? await response.body.collect(upTo: 4096)) ?? ByteBuffer())
            return (response.status == .ok, "\(response.status.code) \(LineLogHandler.visible(body))")
        } catch {
            return (false, "no answer: \(Self.reason(error))")
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError: error.shortDescription
        case let error as IOError: String(cString: strerror(error.errnoCode))
        default: "\(type(of: error))"
        }
    }

    private func address() async throws -> String {
        if let url { return url }
        do {
            let settings = try await options.load(needsProvider: false)
            return settings.healthAddress + (live ? "/healthz" : "/readyz")
        } catch {
            throw Failure("\(error)", .wrongSetting)
        }
    }
}
