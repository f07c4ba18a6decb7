import Crypto
import DevIdentityProvider
import Foundation
import JWTKit
import NIOHTTP1
import Testing

@Suite("Development identity provider: login")
struct LoginTests {
    @Test("The whole flow: form, code, tokens that the JWKS verifies, UserInfo")
    func wholeFlow() async throws {
        try await RunningProvider.with { provider in
            let browser = Browser()
            let discovery = try await browser.get("\(provider.base)/.well-known/openid-configuration").json()
            #expect(discovery["issuer"] as? String == provider.base)
            #expect(discovery["token_endpoint"] as? String == "\(provider.base)/token")
            #expect(discovery["authorization_response_iss_parameter_supported"] as? Bool == true)
            #expect(discovery["code_challenge_methods_supported"] as? [String] == ["S256"])

            let flow = Flow(provider: provider, browser: browser)
            let form = try await flow.authorize()
            #expect(form.status == 200)
            #expect(form.headers.first(name: "cache-control") == "no-store")
            let policy = try #require(form.headers.first(name: "content-security-policy"))
            #expect(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"))
            #expect(form.body.contains("name=\"username\"") && form.body.contains("name=\"password\""))
            #expect(form.body.contains(">Sign in</button>"))

            let redirect = try #require(try await flow.signIn(on: form).redirect)
            #expect(redirect.address == RunningProvider.redirectURI)
            #expect(redirect.parameters["state"] == flow.state)
            #expect(redirect.parameters["iss"] == provider.base)

            let answer = try await flow.redeem(try #require(redirect.parameters["code"]))
            #expect(answer.headers.first(name: "cache-control") == "no-store")
            let json = try answer.json()
            #expect(json["token_type"] as? String == "Bearer")
            #expect(json["expires_in"] as? Int == 300)
            #expect(json["refresh_expires_in"] as? Int == 1800)
            let tokens = try Flow.tokens(answer)

            let keys = JWTKeyCollection()
            try await keys.add(jwksJSON: try await browser.get("\(provider.base)/jwks").body)
            _ = try await keys.verify(tokens.id, as: Signed.self)
            _ = try await keys.verify(tokens.access, as: Signed.self)
            #expect(try header(tokens.id)["alg"] as? String == "RS256")
            #expect(try header(tokens.id)["kid"] as? String != nil)

            let id = try claims(tokens.id)
            #expect(id["iss"] as? String == provider.base)
            #expect(id["sub"] as? String == DevIdentityProvider.User.admin.subject)
            #expect(id["aud"] as? String == "app")
            #expect(id["azp"] as? String == "app")
            #expect(id["nonce"] as? String == flow.nonce)
            #expect(id["sid"] as? String != nil)
            #expect(id["preferred_username"] as? String == "admin")
            #expect(id["name"] as? String == "Ada Admin")
            #expect(id["given_name"] as? String == "Ada")
            #expect(id["family_name"] as? String == "Admin")
            #expect(id["email"] as? String == "admin@example.com")
            let issued = try #require(id["iat"] as? Int)
            #expect(id["exp"] as? Int == issued + 300)
            #expect(try #require(id["auth_time"] as? Int) <= issued)
            let digest = SHA256.hash(data: Data(tokens.access.utf8))
            #expect(id["at_hash"] as? String == base64URL(digest.prefix(16)))

            let access = try claims(tokens.access)
            #expect(access["scope"] as? String == "openid profile email")
            let realm = try #require(access["realm_access"] as? [String: any Sendable])
            #expect((realm["roles"] as? [String])?.contains("admin") == true)

            let info = try await flow.userInfo(tokens.access).json()
            #expect(info["sub"] as? String == id["sub"] as? String)
            #expect(info["email"] as? String == "admin@example.com")
        }
    }

    private struct Signed: JWTPayload {
        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    @Test("The role admin is admin's alone, and scopes decide what is told")
    func rolesAndScopes() async throws {
        try await RunningProvider.with { provider in
            var flow = Flow(provider: provider, browser: Browser())
            flow.scope = "openid unknown"
            let tokens = try await flow.logIn(username: "user")
            let access = try claims(tokens.access)
            let realm = try #require(access["realm_access"] as? [String: any Sendable])
            #expect(realm["roles"] as? [String] == ["user"])
            #expect(access["scope"] as? String == "openid")
            #expect(try claims(tokens.id)["email"] == nil)
            #expect(try await flow.userInfo(tokens.access).json()["name"] == nil)
        }
    }

    @Test("A wrong password or an unknown user shows the form again, with what was typed escaped")
    func wrongPassword() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            for (username, password) in [("admin", "wrong"), ("\"><script>x</script>", "test"), ("admin", "")] {
                let answer = try await flow.signIn(
                    on: try await flow.authorize(), username: username, password: password)
                #expect(answer.redirect == nil)
                #expect(answer.body.contains("Wrong username or password"))
                #expect(!answer.body.contains("<script>"))
                #expect(flow.browser.cookie("dev_idp_session") == nil)
            }
            let again = try await flow.signIn(on: try await flow.authorize(), username: "admin", password: "bad")
            #expect(try await flow.signIn(on: again).redirect?.parameters["code"] != nil)
        }
    }

    @Test("Everything that a request brings is escaped on the page")
    func reflectedParameters() async throws {
        try await RunningProvider.with { provider in
            var flow = Flow(provider: provider, browser: Browser())
            flow.state = "\"><script>alert(1)</script>"
            flow.nonce = "'><img src=x>"
            let page = try await flow.authorize(adding: [("login_hint", "\"><svg onload=x>"), ("\"x'<b>", "<i>")])
            #expect(page.status == 200)
            for markup in ["<script", "<img", "<svg", "<b>", "<i>"] {
                #expect(!page.body.contains(markup))
            }
            #expect(page.body.contains("value=\"&quot;&gt;&lt;svg onload=x&gt;\""))
            // A raw query too, which no browser would send.
            let raw = try await Browser().get("\(provider.base)/authorize?client_id=x'%22<script>")
            #expect(raw.status == 400 && !raw.body.contains("<script"))
        }
    }

    @Test("The form is bound to its browser and to its request")
    func formIsBound() async throws {
        try await RunningProvider.with { provider in
            let victim = Flow(provider: provider, browser: Browser())
            let attacker = Flow(provider: provider, browser: Browser())
            let attackersPage = try await attacker.authorize()
            let victimsPage = try await victim.authorize()
            // A form that was made for another browser.
            let foreign = try await victim.signIn(on: attackersPage)
            #expect(foreign.status == 403 && foreign.redirect == nil)
            // A form of this browser, but for another request.
            let csrf = try #require(victimsPage.hidden("csrf"))
            let other = try #require(attackersPage.hidden("request"))
            let swapped = try await victim.browser.post(
                "\(provider.base)/login",
                form: [("request", other), ("csrf", csrf), ("username", "admin"), ("password", "test")])
            #expect(swapped.status == 403 && swapped.redirect == nil)
            #expect(victim.browser.cookie("dev_idp_session") == nil)
        }
    }

    @Test("A second login needs no password; prompt and max_age ask for it again")
    func singleSignOn() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            let refused = try #require(try await flow.authorize(adding: [("prompt", "none")]).redirect)
            #expect(refused.parameters["error"] == "login_required")
            #expect(refused.parameters["state"] == flow.state && refused.parameters["iss"] == provider.base)

            let first = try claims(try await flow.logIn().id)
            let second = Flow(provider: provider, browser: flow.browser)
            for prompt in [[], [("prompt", "none")]] {
                let code = try #require(try await second.authorize(adding: prompt).redirect?.parameters["code"])
                let tokens = try Flow.tokens(try await second.redeem(code))
                #expect(try claims(tokens.id)["sid"] as? String == first["sid"] as? String)
            }
            #expect(try await second.authorize(adding: [("prompt", "login")]).status == 200)
            #expect(try await second.authorize(adding: [("max_age", "60")]).redirect != nil)
            provider.clock.advance(by: 61)
            #expect(try await second.authorize(adding: [("max_age", "60")]).status == 200)
            // The session's own end.
            provider.clock.advance(by: 10 * 3600)
            #expect(try await second.authorize().status == 200)
        }
    }

    @Test("A made-up or altered session cookie is nobody")
    func forgedCookie() async throws {
        try await RunningProvider.with { provider in
            let flow = Flow(provider: provider, browser: Browser())
            _ = try await flow.logIn()
            let cookie = try #require(flow.browser.cookie("dev_idp_session"))
            let sid = cookie.prefix { $0 != "." }
            for forged in [String(sid), "\(sid).", "\(sid).AAAA", "x.y", cookie + "A", "\(sid).\(sid).x"] {
                flow.browser.setCookie("dev_idp_session", forged)
                #expect(try await flow.authorize().status == 200)
            }
            flow.browser.setCookie("dev_idp_session", cookie)
            #expect(try await flow.authorize().redirect != nil)
        }
    }
}
