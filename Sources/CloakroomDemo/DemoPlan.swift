import Cloakroom
import CloakroomHTTP
import DevIdentityProvider
import Foundation
import Logging

/// Who listens where in a demo, and what the parts must know of each other.
struct DemoPlan: Sendable {
    let port: Int
    let identityProviderPort: Int
    let sampleAPIPort: Int
    let clientID = "cloakroom"
    /// Made anew for each run; known to the gateway and the identity provider only.
    let clientSecret: String
    /// What replicas seal sessions with; made anew for each run. `nil` for the plain form.
    let sessionKey: String?
    let logger: Logger

    static let sampleAPIAudience = "sample-api"

    /// - Throws: ``DemoProblem`` when the port is in use.
    ///
    /// - Parameter seals: whether replicas seal sessions.
    init(port: Int, seals: Bool = true) async throws {
        guard await LoopbackPort.isFree(port) else {
            throw DemoProblem(
                description: """
                    Port \(port) is in use by another program. Stop that program, or choose another port:
                      cloakroom demo --port \(port < 65_500 ? port + 10 : 8030)
                    """)
        }
        self.port = port
        identityProviderPort = try await LoopbackPort.firstFree(from: min(port + 1, 65_000), except: [port])
        sampleAPIPort = try await LoopbackPort.firstFree(
            from: min(port + 2, 65_000), except: [port, identityProviderPort])
        sessionKey = seals ? SessionKeyring.generateKey() : nil
        clientSecret = "\(UUID().uuidString)\(UUID().uuidString)"
        var logger = Logger(label: "cloakroom.demo") { StreamLogHandler.standardError(label: $0) }
        let level = ProcessInfo.processInfo.environment["LOG_LEVEL"].flatMap { Logger.Level(rawValue: $0.lowercased()) }
        logger.logLevel = level ?? .notice
        self.logger = logger
    }

    var publicURL: String { "http://localhost:\(port)" }
    var issuer: String { "http://localhost:\(identityProviderPort)" }
    var upstreamURL: String { "http://127.0.0.1:\(sampleAPIPort)" }

    func identityProvider(onServerRunning: @escaping @Sendable (Int) async -> Void) throws -> DevIdentityProvider {
        let client = DevIdentityProvider.Client(
            id: clientID, secret: clientSecret, redirectURIs: [publicURL + AuthEndpoint.callback.path],
            postLogoutRedirectURIs: [publicURL, publicURL + "/"],
            backchannelLogoutURI: publicURL + AuthEndpoint.backchannelLogout.path)
        var configuration = DevIdentityProvider.Configuration(port: identityProviderPort, clients: [client])
        configuration.issuer = issuer
        configuration.accessTokenAudience = Self.sampleAPIAudience
        configuration.loginHint = "Try admin or user; the password is test."
        return try DevIdentityProvider(configuration: configuration, logger: logger, onServerRunning: onServerRunning)
    }

    func sampleAPI(onServerRunning: @escaping @Sendable (Int) async -> Void) -> SampleAPI {
        SampleAPI(
            port: sampleAPIPort, issuer: issuer, audience: Self.sampleAPIAudience, logger: logger,
            onServerRunning: onServerRunning)
    }
}
