import DevIdentityProvider
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing

@Suite("Development identity provider: back-channel logout")
struct BackchannelLogoutTests {
    /// A client's server, which remembers what it was told.
    private final class Client: Sendable {
        struct Told: Sendable {
            let type: String
            let body: String
        }

        private let list = Mutex<[Told]>([])
        var told: [Told] { list.withLock { $0 } }

        func run(_ test: @escaping @Sendable (_ address: String, Client) async throws -> Void) async throws {
            let router = Router()
            router.post("told") { request, _ in
                let body = String(buffer: try await request.body.collect(upTo: 65_536))
                self.list.withLock { $0.append(Told(type: request.headers[.contentType] ?? "", body: body)) }
                return HTTPResponse.Status.ok
            }
            let (ports, continuation) = AsyncStream<Int>.makeStream()
            let server = Application(
                router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
                onServerRunning: { continuation.yield($0.localAddress?.port ?? 0) }, logger: quietLogger)
            let services = ServiceGroup(services: [server], logger: quietLogger)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await services.run() }
                var iterator = ports.makeAsyncIterator()
                let port = try #require(await iterator.next())
                try await test("http://127.0.0.1:\(port)/told", self)
                await services.triggerGracefulShutdown()
                try await group.waitForAll()
            }
        }
    }

    @Test("R26: a client that took part in the session is told of its end, by a token as the standard has it")
    func tells() async throws {
        try await Client().run { address, client in
            try await RunningProvider.with {
                $0.clients[0].backchannelLogoutURI = address
            } test: { provider in
                let flow = Flow(provider: provider, browser: Browser())
                let tokens = try await flow.logIn()
                _ = try await flow.browser.get("\(provider.base)/end_session?\(encode([("id_token_hint", tokens.id)]))")
                let told = try #require(client.told.first)
                #expect(client.told.count == 1)
                #expect(told.type == "application/x-www-form-urlencoded" && told.body.hasPrefix("logout_token="))
                let token = String(told.body.dropFirst("logout_token=".count))
                let head = try header(token)
                #expect(head["typ"] as? String == "logout+jwt" && head["alg"] as? String == "RS256")
                let all = try claims(token)
                let idToken = try claims(tokens.id)
                for name in ["iss", "sub", "aud", "sid"] {
                    #expect(all[name] as? String == idToken[name] as? String, "\(name)")
                }
                #expect(all["nonce"] == nil)
                let (issued, expires) = (try #require(all["iat"] as? Int), try #require(all["exp"] as? Int))
                #expect(expires - issued == 120)
                #expect((all["jti"] as? String)?.isEmpty == false)
                let events = all["events"] as? [String: [String: String]]
                #expect(events == ["http://schemas.openid.net/event/backchannel-logout": [:]])
            }
        }
    }

    @Test("who had no part in the session is not told, and a client that does not answer holds no logout up")
    func others() async throws {
        try await Client().run { address, client in
            try await RunningProvider.with {
                $0.clients[0].backchannelLogoutURI = "http://127.0.0.1:1/nobody"
                $0.clients[1].backchannelLogoutURI = address
            } test: { provider in
                let flow = Flow(provider: provider, browser: Browser())
                let tokens = try await flow.logIn()
                let answer = try await flow.browser.get(
                    "\(provider.base)/end_session?\(encode([("id_token_hint", tokens.id)]))")
                #expect(answer.status == 200 && answer.body.contains("Signed out"))
                #expect(client.told.isEmpty)
            }
        }
    }
}
