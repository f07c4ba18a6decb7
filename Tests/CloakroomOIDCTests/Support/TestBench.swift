import AsyncHTTPClient
import Cloakroom
import CloakroomOIDC
import Foundation
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import Testing

/// A scripted provider and all that a test needs to log in there.
struct TestBench: Sendable {
    let provider: ScriptedProvider
    let client: HTTPClient

    /// Runs a provider that publishes and uses one RSA key, unless `prepare` says otherwise, for the time of `body`.
    static func run(
        prepare: (inout ScriptedProvider.Script) throws -> Void = { _ in },
        _ body: (TestBench) async throws -> Void
    ) async throws {
        let key = try TestKey.rsa.get()
        var script = ScriptedProvider.Script(keys: [.object(try key.jwk)], signingKey: key)
        try prepare(&script)
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let slot = ProviderSlot()
        let app = Application(
            responder: CallbackResponder { request, _ in
                guard let provider = slot.provider else { return Response(status: .serviceUnavailable) }
                return try await provider.respond(to: request)
            } as CallbackResponder<BasicRequestContext>,
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in continuation.yield(channel.localAddress?.port ?? 0) },
            logger: quietLogger)
        let services = ServiceGroup(services: [app], logger: quietLogger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { continuation.finish() }
                try await services.run()
            }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            let provider = ScriptedProvider(port: port, script: script)
            slot.provider = provider
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(
                    try await withClient(RelyingParty.httpClientConfiguration(), provider: provider, body))
            } catch {
                outcome = .failure(error)
            }
            // Graceful: a server that is cancelled may trap while it is accepting a connection.
            provider.letGo()
            await services.triggerGracefulShutdown()
            try await group.waitForAll()
            try outcome.get()
        }
    }

    /// A configuration for this provider.
    var configuration: OIDCConfiguration {
        OIDCConfiguration(
            issuer: provider.issuer, clientID: "client", clientSecret: "s3cret/:+ ü",
            redirectURI: "https://app.example.com/auth/callback",
            postLogoutRedirectURI: "https://app.example.com/?bye=1")
    }

    func relyingParty(
        timing: CacheTiming = CacheTiming(), configure: (inout OIDCConfiguration) -> Void = { _ in },
        logger: Logger = quietLogger
    ) -> RelyingParty {
        var configuration = configuration
        configure(&configuration)
        return RelyingParty(configuration: configuration, httpClient: client, logger: logger, cacheTiming: timing)
    }

    /// Lends a bench whose HTTP client has this configuration.
    static func withClient(
        _ configuration: HTTPClient.Configuration, provider: ScriptedProvider,
        _ body: (TestBench) async throws -> Void
    ) async throws {
        let client = HTTPClient(configuration: configuration)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(TestBench(provider: provider, client: client)))
        } catch {
            outcome = .failure(error)
        }
        try await client.shutdown()
        try outcome.get()
    }

    /// A whole login.
    func logIn(with party: RelyingParty) async throws -> LoginResult {
        let login = try await party.beginLogin()
        return try await party.finishLogin(try provider.authorize(login), pending: login.pending)
    }

    /// The session that a login would make.
    func session(of result: LoginResult) -> Session {
        Session(
            tokens: result.tokens, userInfo: result.userInfo, createdAt: Date(),
            expiresAt: Date().addingTimeInterval(3600))
    }
}

let quietLogger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// Expects an `OIDCError` of this kind whose reason holds these words.
func expectFailure(
    _ code: OIDCError.Code, _ words: String = "", sourceLocation: SourceLocation = #_sourceLocation,
    _ operation: () async throws -> Void
) async {
    do {
        try await operation()
        Issue.record("no error was thrown", sourceLocation: sourceLocation)
    } catch let error as OIDCError {
        #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
        if !words.isEmpty { #expect(error.reason.contains(words), "\(error)", sourceLocation: sourceLocation) }
    } catch {
        Issue.record(error, sourceLocation: sourceLocation)
    }
}
