import ArgumentParser
import CloakroomGateway
import CloakroomHTTP
import DevIdentityProvider
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

/// `cloakroom demo provider`.
struct DemoProviderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "provider",
        abstract: "Run the demo's identity provider alone, for an app of your own.",
        discussion: """
            An OpenID provider for development, on this machine only: users admin and user, password
            test. It knows one client, which has no secret. Nothing is kept when it ends.

            Settings for an app that uses it: OIDC_ISSUER=http://localhost:8021,
            OIDC_CLIENT_ID=cloakroom, and no OIDC_CLIENT_SECRET.

            EXAMPLES
              cloakroom demo provider --app http://localhost:8080
              cloakroom demo provider --app http://localhost:8080 --callback /account/callback
              cloakroom demo provider --app http://localhost:8080 --issuer-port 9000
            """
    )

    // Not `--port`: that is the demo's own, which would take it.
    @Option(name: .customLong("issuer-port"), help: "The port to listen on.")
    var port = 8021

    @Option(help: "Where browsers reach the app: http://localhost:PORT, or https://HOST.")
    var app: String

    @Option(help: "The path of the app that logins come back to.")
    var callback = AuthEndpoint.callback.path

    @Option(help: "The client_id of the app.")
    var clientID = "cloakroom"

    @Option(help: "How many seconds access tokens last (1 to 86400).")
    var tokenLifetime = 300

    func validate() throws {
        guard (1...65_535).contains(port) else {
            throw ValidationError("--issuer-port must be from 1 to 65535, not \(port).")
        }
        guard PublicURL(app) != nil else {
            throw ValidationError(
                "--app must be https://HOST[:PORT], or http:// on this machine, without a path: not \(app.prefix(200))."
            )
        }
        guard callback.hasPrefix("/"), !callback.hasPrefix("//"), callback.utf8.count <= 256 else {
            throw ValidationError("--callback must be a path that begins with /, not \(callback.prefix(200)).")
        }
        guard (1...200).contains(clientID.utf8.count) else {
            throw ValidationError("--client-id must have 1 to 200 characters.")
        }
        guard (1...86_400).contains(tokenLifetime) else {
            throw ValidationError("--token-lifetime must be from 1 to 86400, not \(tokenLifetime).")
        }
    }

    func run() async throws {
        guard let publicURL = PublicURL(app) else { throw ExitCode.validationFailure }
        let client = DevIdentityProvider.Client(
            id: clientID, secret: nil, redirectURIs: [publicURL.origin + callback],
            postLogoutRedirectURIs: [publicURL.origin, publicURL.origin + "/"])
        var configuration = DevIdentityProvider.Configuration(
            port: port, clients: [client], accessTokenLifetime: .seconds(tokenLifetime))
        configuration.issuer = "http://localhost:\(port)"
        configuration.loginHint = "Try admin or user; the password is test."
        do {
            guard await LoopbackPort.isFree(port) else {
                throw DemoProblem(
                    description: """
                        Port \(port) is in use by another program. Stop that program, or choose another port:
                          cloakroom demo provider --issuer-port \(port < 65_500 ? port + 10 : 8031) --app \(publicURL.origin)
                        """)
            }
            try await serve(configuration)
        } catch let problem as DemoProblem {
            Console.complain(problem.description)
            throw ExitCode(problem.exitCode)
        }
    }

    private func serve(_ configuration: DevIdentityProvider.Configuration) async throws {
        var logger = Logger(label: "cloakroom.demo.provider") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        let provider = try DevIdentityProvider(configuration: configuration, logger: logger) { [clientID, port] _ in
            Console.say(
                """
                An identity provider for development runs at http://localhost:\(port)
                Users admin and user, password test. Settings for your app:
                  OIDC_ISSUER=http://localhost:\(port)
                  OIDC_CLIENT_ID=\(clientID)
                Stop it with Ctrl-C.
                """)
        }
        var group = ServiceGroupConfiguration(
            services: [provider], gracefulShutdownSignals: [.sigint, .sigterm, .sighup], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(5)
        try await ServiceGroup(configuration: group).run()
    }
}
