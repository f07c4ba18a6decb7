import DevIdentityProvider
import Logging
import Testing

@Suite("Development identity provider: where it listens")
struct StartTests {
    private func provider(host: String) throws {
        _ = try DevIdentityProvider(
            configuration: .init(host: host, port: 0, clients: []), logger: quietLogger)
    }

    @Test(
        "It refuses to listen where others can reach it",
        arguments: [
            "0.0.0.0", "::", "192.168.1.1", "10.0.0.1", "128.0.0.1", "127.0.0.1.example.com", "127.1", "127.0.0.256",
            "127.0.0.+1", "", " 127.0.0.1", "localhost.example.com", "::ffff:127.0.0.1", "example.com",
        ])
    func refuses(host: String) {
        let error = #expect(throws: StartError.self) { try provider(host: host) }
        #expect(error?.description.contains("127.0.0.1") == true)
    }

    @Test("Loopback addresses are good", arguments: ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
    func accepts(host: String) throws {
        try provider(host: host)
    }

    @Test("A given issuer stands in the answer and the tokens, and its path before all paths")
    func givenIssuer() async throws {
        try await RunningProvider.with(path: "/realms/demo") {
            $0.issuer = "http://idp.example:1234/realms/demo"
        } test: { provider in
            let discovery = try await Browser().get("\(provider.base)/.well-known/openid-configuration").json()
            #expect(discovery["jwks_uri"] as? String == "http://idp.example:1234/realms/demo/jwks")
            let flow = Flow(provider: provider, browser: Browser())
            let redirect = try #require(try await flow.signIn(on: try await flow.authorize()).redirect)
            #expect(redirect.parameters["iss"] == "http://idp.example:1234/realms/demo")
            let tokens = try Flow.tokens(try await flow.redeem(try #require(redirect.parameters["code"])))
            #expect(try claims(tokens.id)["iss"] as? String == "http://idp.example:1234/realms/demo")
            #expect(try await flow.userInfo(tokens.access).status == 200)
        }
    }
}
