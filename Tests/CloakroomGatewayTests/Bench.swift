import AsyncHTTPClient
import Cloakroom
import DevIdentityProvider
import Foundation
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization
import Testing

@testable import CloakroomGateway

/// A gateway, the development identity provider and an upstream, all on free ports of this machine.
struct Bench: Sendable {
    /// What browsers would see; ``Browser`` sends what is for it to the gateway's real port.
    static let publicOrigin = "http://localhost:8020"

    let gatewayPort: Int
    let providerPort: Int
    let upstream: UpstreamServer
    let log: CapturedLog

    struct Options: Sendable {
        var store: (any GatewayStore)?
        var accessTokenLifetime: Duration = .seconds(300)
        var eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
        var change: @Sendable (inout GatewaySettings) -> Void = { _ in }
    }

    /// Returns when a server has taken up every connection that was made to it before, as it does so in their order.
    private static func takeUpConnections(_ port: Int) async throws {
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port).get()
        try await channel.writeAndFlush(ByteBuffer(string: request))
        try await channel.closeFuture.get()
    }

    static func with(
        _ options: Options = Options(), test: @escaping @Sendable (Bench) async throws -> Void
    ) async throws {
        let log = CapturedLog()
        let logger = Logger(label: "test") { label in
            LineLogHandler(label: label, level: .debug, format: .text) { log.add($0) }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            let upstream = UpstreamServer()
            let upstreamPort = try await start(in: &group) { ready in
                try await upstream.run(ready: ready)
            }
            let providerPort = try await start(in: &group) { ready in
                try await provider(options, ready).run()
            }
            var settings = GatewaySettings()
            settings.port = 0
            settings.publicURL = publicOrigin
            settings.upstreamURL = "http://127.0.0.1:\(upstreamPort)"
            settings.oidcIssuer = "http://localhost:\(providerPort)"
            settings.oidcClientID = "app"
            settings.oidcClientSecret = "s3cret"
            settings.replicaName = "r1"
            options.change(&settings)
            let final = settings
            // The gateway ends first, and what it has connected to is taken up: a server that is cancelled at the very moment
            // at which someone connects to it brings the process down (an assertion in NIO's asynchronous channels).
            try await withThrowingTaskGroup(of: Void.self) { inner in
                let gatewayPort = try await start(in: &inner) { ready in
                    try await Gateway(
                        settings: final, logger: logger, store: options.store, eventLoopGroup: options.eventLoopGroup,
                        onServerRunning: ready
                    ).run()
                }
                try await test(
                    Bench(gatewayPort: gatewayPort, providerPort: providerPort, upstream: upstream, log: log))
                inner.cancelAll()
                try? await inner.waitForAll()
                for port in [providerPort, upstreamPort] { try? await takeUpConnections(port) }
            }
            group.cancelAll()
            try? await group.waitForAll()
        }
    }

    private static func provider(
        _ options: Options, _ ready: @escaping @Sendable (Int) async -> Void
    ) throws -> DevIdentityProvider {
        try DevIdentityProvider(
            configuration: .init(
                port: 0,
                clients: [
                    .init(
                        id: "app", secret: "s3cret", redirectURIs: ["\(publicOrigin)/auth/callback"],
                        postLogoutRedirectURIs: ["\(publicOrigin)/"])
                ], accessTokenLifetime: options.accessTokenLifetime),
            logger: Logger(label: "idp") { _ in SwiftLogNoOpLogHandler() }, onServerRunning: ready)
    }

    /// Starts a server in the group and waits until it says its port.
    static func start(
        in group: inout ThrowingTaskGroup<Void, any Error>,
        _ run: @escaping @Sendable (_ ready: @escaping @Sendable (Int) async -> Void) async throws -> Void
    ) async throws -> Int {
        let (ports, continuation) = AsyncThrowingStream<Int, any Error>.makeStream()
        group.addTask {
            do {
                try await run { continuation.yield($0) }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
                throw error
            }
        }
        for try await port in ports { return port }
        throw ServerEndedEarly()
    }

    struct ServerEndedEarly: Error {}

    func browser() -> Browser { Browser(gatewayPort: gatewayPort) }
}

/// What was logged.
final class CapturedLog: Sendable {
    private let lines = Mutex<[String]>([])
    var text: String { lines.withLock { $0.joined() } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
}

/// A browser that follows nothing by itself and keeps its cookies by host.
final class Browser: Sendable {
    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let body: String

        var location: String? { headers.first(name: "location") }
        var setCookies: [String] { headers["set-cookie"] }
    }

    private let gatewayPort: Int
    private let jars = Mutex<[String: [String: String]]>([:])

    init(gatewayPort: Int) { self.gatewayPort = gatewayPort }

    /// The gateway's cookie of this name.
    subscript(cookie: String) -> String? {
        get { jars.withLock { $0[Bench.publicOrigin]?[cookie] } }
        set { jars.withLock { $0[Bench.publicOrigin, default: [:]][cookie] = newValue } }
    }

    func get(_ address: String, _ headers: HTTPHeaders = [:]) async throws -> Answer {
        try await send(.GET, address, headers)
    }

    func post(
        _ address: String, form: [(String, String)] = [], _ headers: HTTPHeaders = [:]
    ) async throws -> Answer {
        var headers = headers
        headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
        return try await send(
            .POST, address, headers, body: form.map { "\(escape($0))=\(escape($1))" }.joined(separator: "&"))
    }

    func send(
        _ method: HTTPMethod, _ address: String, _ headers: HTTPHeaders = [:], body: String? = nil
    ) async throws -> Answer {
        let url = address.hasPrefix("/") ? Bench.publicOrigin + address : address
        let origin = String(url.split(separator: "/").prefix(2).joined(separator: "//"))
        let real = url.replacing(Bench.publicOrigin, with: "http://127.0.0.1:\(gatewayPort)", maxReplacements: 1)
        var request = HTTPClientRequest(url: real)
        request.method = method
        request.headers = headers
        if origin == Bench.publicOrigin { request.headers.replaceOrAdd(name: "host", value: "localhost:8020") }
        let jar = jars.withLock { $0[origin] ?? [:] }
        if !jar.isEmpty {
            request.headers.add(name: "cookie", value: jar.map { "\($0)=\($1)" }.joined(separator: "; "))
        }
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await testClient.execute(request, timeout: .seconds(30))
        let text = String(buffer: try await response.body.collect(upTo: 1 << 24))
        for line in response.headers["set-cookie"] {
            let pair = line.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = pair.count == 2 && !pair[1].isEmpty ? String(pair[1]) : nil
            jars.withLock { $0[origin, default: [:]][String(pair[0])] = value }
        }
        return Answer(status: Int(response.status.code), headers: response.headers, body: text)
    }

    /// Begins a login and types the password in, up to the address of the callback.
    func callbackAddress(
        returnTo: String? = nil, as username: String = "admin", _ headers: HTTPHeaders = [:]
    ) async throws -> String {
        var address = "/auth/login"
        if let returnTo { address += "?return_to=\(escape(returnTo))" }
        let begun = try await get(address, headers)
        #expect(begun.status == 303)
        let authorize = try #require(begun.location)
        var answer = try await get(authorize)
        if answer.status == 200 {
            let provider = authorize.split(separator: "/").prefix(2).joined(separator: "//")
            answer = try await post(
                "\(provider)/login",
                form: [
                    ("request", try hidden("request", in: answer.body)), ("csrf", try hidden("csrf", in: answer.body)),
                    ("username", username), ("password", "test"),
                ])
        }
        let callback = try #require(answer.location)
        #expect(callback.hasPrefix(Bench.publicOrigin + "/auth/callback?"))
        return callback
    }

    /// Logs in.
    @discardableResult
    func logIn(
        returnTo: String? = nil, as username: String = "admin", _ headers: HTTPHeaders = [:]
    ) async throws -> Answer {
        let answer = try await get(try await callbackAddress(returnTo: returnTo, as: username, headers), headers)
        #expect(answer.status == 303)
        #expect(self["cloakroom_session"] != nil)
        return answer
    }

    private func hidden(_ name: String, in page: String) throws -> String {
        let start = try #require(page.range(of: "name=\"\(name)\" value=\""))
        return String(page[start.upperBound...].prefix { $0 != "\"" }).replacing("&quot;", with: "\"")
            .replacing("&#39;", with: "'").replacing("&lt;", with: "<").replacing("&gt;", with: ">")
            .replacing("&amp;", with: "&")
    }

    private func escape(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    }
}

/// One client for all tests; it is never shut down, like the shared one.
let testClient: HTTPClient = {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    return HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
}()

let apiHeaders: HTTPHeaders = ["X-CSRF": "1", "Sec-Fetch-Site": "same-origin"]
let pageHeaders: HTTPHeaders = ["Accept": "text/html", "Sec-Fetch-Mode": "navigate"]
