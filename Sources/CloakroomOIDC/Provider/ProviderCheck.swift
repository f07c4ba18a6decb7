package import AsyncHTTPClient
import Cloakroom
package import Logging
import NIOCore
import NIOHTTP1

import struct Foundation.Date

/// Looks at what can be known of a provider without a user.
///
/// It asks for the metadata and the keys. It tries to redeem a code that nobody was given, which shows whether the provider
/// knows this client and its secret. And it asks for a login that must not show a page (`prompt=none`), which shows whether
/// the provider knows the redirect URI. A provider may log both as failed logins.
package struct ProviderCheck: Sendable {
    private let configuration: OIDCConfiguration
    private let client: HTTPClient
    private let relyingParty: RelyingParty
    /// For each request.
    private let timeout: Duration

    /// - Parameter httpClient: made with ``httpClientConfiguration()``; it is not shut down here.
    package init(
        configuration: OIDCConfiguration, httpClient: HTTPClient, timeout: Duration = .seconds(4), logger: Logger
    ) {
        var configuration = configuration
        configuration.requestTimeout = timeout
        self.configuration = configuration
        self.client = httpClient
        self.timeout = timeout
        relyingParty = RelyingParty(configuration: configuration, httpClient: httpClient, logger: logger)
    }

    /// As ``RelyingParty/httpClientConfiguration()``, but what fails fails at once.
    package static func httpClientConfiguration() -> HTTPClient.Configuration {
        var configuration = RelyingParty.httpClientConfiguration()
        configuration.timeout.connect = .seconds(3)
        configuration.connectionPool.retryConnectionEstablishment = false
        return configuration
    }

    /// Asks, and says what came of it. Takes three times the timeout at most.
    package func run() async -> ProviderHealth {
        let discovery = await discover()
        guard discovery.metadata != nil else {
            let rest = ["clock", "keys", "client", "redirect-uri"].map {
                ProviderHealth.Item($0, .unknown, "not asked, as the metadata can't be had")
            }
            return ProviderHealth(items: [discovery.item] + rest)
        }
        async let keys = keys(discovery.algorithms)
        async let client = clientAuthentication()
        async let redirect = redirectURI()
        return ProviderHealth(items: [discovery.item, discovery.clock, await keys, await client, await redirect])
    }

    // MARK: Metadata

    private struct Discovery {
        var item: ProviderHealth.Item
        var clock = ProviderHealth.Item("clock", .unknown, "the provider sends no date")
        var metadata: ProviderMetadata?
        /// What the provider says it signs ID tokens with; `nil` if it does not say.
        var algorithms: [String]?
    }

    private func discover() async -> Discovery {
        let url = configuration.metadataURL
        let (response, body): (HTTPClientResponse, [UInt8])
        let start = Date()
        do {
            (response, body) = try await fetch(url, limit: ProviderMetadata.largestDocument)
        } catch {
            let reason = HTTPFailure.describe(error)
            return Discovery(
                item: .init(
                    "discovery", .fail, "\(url) can't be had: \(reason)", remedy: Self.remedy(forReason: reason)))
        }
        let clock = clock(response.headers.first(name: "date"), between: start, and: Date())
        func failed(_ detail: String, _ remedy: String) -> Discovery {
            Discovery(item: .init("discovery", .fail, detail, remedy: remedy), clock: clock)
        }
        guard response.status == .ok else {
            return failed(
                "\(url) answers \(response.status.code)",
                "correct OIDC_ISSUER: the metadata is at ISSUER/.well-known/openid-configuration; else OIDC_DISCOVERY_URL"
            )
        }
        guard let document = (try? JSONValue(parsing: body))?.object else {
            return failed(
                "\(url) answers with something that is not JSON", "correct OIDC_ISSUER, or give OIDC_DISCOVERY_URL")
        }
        guard sameBytes(document["issuer"]?.string, configuration.issuer) else {
            let told = Self.shown(document["issuer"]?.string)
            return failed(
                "the provider calls itself \(told), and OIDC_ISSUER is \(configuration.issuer)",
                "set OIDC_ISSUER to the letter as the provider writes it; where it is reached under another address "
                    + "from here, give that as OIDC_DISCOVERY_URL")
        }
        do {
            let metadata = try ProviderMetadata(document, configuration: configuration)
            let algorithms = document["id_token_signing_alg_values_supported"]?.array?.compactMap(\.string)
            return Discovery(
                item: .init("discovery", .ok, "the issuer is \(configuration.issuer)"), clock: clock,
                metadata: metadata, algorithms: algorithms)
        } catch {
            return failed(error.reason, "correct the provider's public addresses in its settings")
        }
    }

    /// Compares the provider's `Date`, which has whole seconds, with the clock here.
    private func clock(_ field: String?, between start: Date, and end: Date) -> ProviderHealth.Item {
        guard let field, let date = Self.date(field) else {
            return .init("clock", .unknown, "the provider sends no date")
        }
        return Self.clock(
            skew: date.timeIntervalSince1970 + 0.5 - (start.timeIntervalSince1970 + end.timeIntervalSince1970) / 2,
            allowed: configuration.clockSkew.inSeconds)
    }

    /// - Parameter skew: by how many seconds the provider's clock is ahead of ours.
    static func clock(skew: Double, allowed: Double) -> ProviderHealth.Item {
        let seconds = Int(min(abs(skew), 1e9).rounded())
        guard seconds > 5 else { return .init("clock", .ok, "within 5 s of the provider's") }
        let text = "the provider's clock is \(seconds) s \(skew > 0 ? "ahead of" : "behind") the one here"
        let remedy = "let NTP set the clocks of both machines"
        guard Double(seconds) > allowed / 2 else { return .init("clock", .warn, text, remedy: remedy) }
        return .init(
            "clock", Double(seconds) > allowed ? .fail : .warn,
            "\(text); beyond \(Int(allowed)) s every login fails", remedy: remedy)
    }

    // MARK: Keys

    private func keys(_ algorithms: [String]?) async -> ProviderHealth.Item {
        do throws(OIDCError) {
            let usable = try await relyingParty.keys.current().value.keys
            guard !usable.isEmpty else {
                return .init(
                    "keys", .fail, "no key of the provider can verify an ID token",
                    remedy: "let the provider sign ID tokens with RS256, PS256, ES256 or EdDSA")
            }
            let known = algorithms?.filter { SignatureAlgorithm(rawValue: $0) != nil }
            if let known, known.isEmpty {
                return .init(
                    "keys", .fail, "the provider signs ID tokens with none of the algorithms that are accepted",
                    remedy: "let the provider sign ID tokens with RS256, PS256, ES256 or EdDSA, not HS256 or none")
            }
            let names = known.map { " (\($0.prefix(10).joined(separator: ", ")))" } ?? ""
            return .init("keys", .ok, "\(usable.count) usable\(names)")
        } catch {
            return .init(
                "keys", .fail, error.reason,
                remedy: "see whether jwks_uri in the provider's metadata can be reached from here")
        }
    }

    // MARK: Client

    /// Tries to redeem a code that was never given out: who authenticates the client first (RFC 6749 §4.1.3) tells by its
    /// refusal whether it knows it.
    private func clientAuthentication() async -> ProviderHealth.Item {
        do throws(OIDCError) {
            let metadata = try await relyingParty.metadata.current().value
            _ = try await relyingParty.requestTokens(
                metadata,
                grant: [
                    "grant_type": "authorization_code", "code": "cloakroom-check-\(randomText())",
                    "redirect_uri": configuration.redirectURI, "code_verifier": randomText(),
                ])
            return .init("client", .unknown, "the token endpoint took a code that it never gave out")
        } catch {
            return Self.client(error, configuration)
        }
    }

    static func client(_ error: OIDCError, _ configuration: OIDCConfiguration) -> ProviderHealth.Item {
        let id = shown(configuration.clientID)
        switch error.code {
        case .invalidGrant:
            return .init("client", .ok, "the provider knows the client \(id), and how it authenticates")
        case .clientRejected:
            return .init(
                "client", .fail, "the provider refuses the client \(id): \(error.reason)",
                remedy: configuration.clientAuthentication.remedy)
        case .providerUnavailable:
            return .init(
                "client", .fail, error.reason, remedy: "see whether the token endpoint can be reached from here")
        default:
            return .init("client", .unknown, "can't be told from here: \(error.reason)")
        }
    }

    // MARK: Redirect URI

    private func redirectURI() async -> ProviderHealth.Item {
        let uri = configuration.redirectURI
        do {
            let pending = PendingLogin(state: randomText(), nonce: randomText(), codeVerifier: randomText())
            var parameters = relyingParty.parameters(of: pending)
            parameters.append("prompt", "none")
            let url = try await relyingParty.authorizationURL(with: parameters)
            let (response, _) = try await fetch(url, limit: 1 << 20, accept: "text/html")
            return Self.redirect(
                status: Int(response.status.code), location: response.headers.first(name: "location"), configuration)
        } catch let error as OIDCError {
            return .init("redirect-uri", .unknown, error.reason)
        } catch {
            return .init(
                "redirect-uri", .unknown,
                "can't be told from here: the authorization endpoint can't be asked (\(HTTPFailure.describe(error))); "
                    + "browsers may reach it all the same. It must know \(uri)")
        }
    }

    /// What the answer to an authorization request means. A provider that does not know the redirect URI must not send
    /// the browser there (RFC 6749 §4.1.2.1); one that knows it sends it there with an error, as it may show no page.
    static func redirect(status: Int, location: String?, _ configuration: OIDCConfiguration) -> ProviderHealth.Item {
        let uri = configuration.redirectURI
        let register =
            "register exactly \(uri) as redirect URI of the client \(shown(configuration.clientID)) at the provider; "
            + "its first part is PUBLIC_URL"
        if let location, (300..<400).contains(status) {
            guard location.hasPrefix(uri), location.dropFirst(uri.count).first.map({ "?#&".contains($0) }) ?? true
            else {
                return .init(
                    "redirect-uri", .unknown,
                    "can't be told from here: the provider sends the browser to a page of its own first. It must know \(uri)"
                )
            }
            let error = errorCode(in: location)
            switch error {
            case nil, "login_required", "interaction_required", "consent_required", "account_selection_required":
                return .init("redirect-uri", .ok, "the provider knows \(uri)")
            case "invalid_scope":
                return .init(
                    "redirect-uri", .fail, "the provider knows \(uri) and refuses the scopes (invalid_scope)",
                    remedy: "correct OIDC_SCOPES, or permit the client these scopes at the provider")
            case let error?:
                return .init(
                    "redirect-uri", .fail, "the provider knows \(uri) and refuses logins: \(error)",
                    remedy: "let the provider permit the client the authorization code flow with PKCE (S256)")
            }
        }
        switch status {
        case 400..<500:
            return .init(
                "redirect-uri", .fail,
                "the provider refuses to log anyone in for \(shown(configuration.clientID)) at \(uri) (\(status))",
                remedy: register)
        case 500...:
            return .init(
                "redirect-uri", .unknown, "can't be told from here: the authorization endpoint answers \(status)")
        default:
            return .init(
                "redirect-uri", .unknown,
                "can't be told from here: the provider answers with a page, of a login or of an error. It must know \(uri)"
            )
        }
    }

    private static func errorCode(in location: String) -> String? {
        guard let query = location.firstIndex(where: { $0 == "?" || $0 == "#" }) else { return nil }
        for part in location[location.index(after: query)...].split(separator: "&") where part.hasPrefix("error=") {
            return safeErrorCode(String(part.dropFirst("error=".count)))
        }
        return nil
    }

    // MARK: Requests

    private func fetch(
        _ url: String, limit: Int, accept: String = "application/json"
    ) async throws -> (HTTPClientResponse, [UInt8]) {
        let (client, timeout, tls) = (client, timeout, configuration.tlsConfiguration)
        return try await withTimeout(timeout) {
            var request = HTTPClientRequest(url: url)
            request.tlsConfiguration = tls
            request.headers.add(name: "accept", value: accept)
            request.headers.add(name: "user-agent", value: "cloakroom-check")
            let response = try await client.execute(request, timeout: TimeAmount(timeout))
            let body = try await response.body.collect(upTo: limit)
            return (response, Array(body.readableBytesView))
        }
    }

    /// What helps against a failure that ``HTTPFailure`` describes.
    package static func remedy(forReason reason: String) -> String {
        let causes = [
            ("refused", "nothing listens there: start the provider, or correct host and port in OIDC_ISSUER"),
            ("resolved", "correct the host in OIDC_ISSUER, or the DNS of the network where this runs"),
            ("too long", "see firewall, proxy and NetworkPolicy between here and the provider"),
            ("other host name", "let OIDC_ISSUER use a name that is in the provider's certificate"),
            (
                "not signed by",
                "renew the provider's certificate, or trust its authority: OIDC_CA_FILE, or ca-certificates of this machine"
            ),
            ("speak TLS", "correct http or https, and the port, in OIDC_ISSUER"),
        ]
        return causes.first { reason.contains($0.0) }?.1 ?? "is the provider running, and is OIDC_ISSUER right?"
    }

    /// A text from outside, bounded and fit for a terminal.
    private static func shown(_ text: String?) -> String {
        guard let text, (1...200).contains(text.utf8.count), text.isVisibleASCII else { return "something unfit" }
        return text
    }

    /// Reads a date as HTTP writes it (RFC 9110 §5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    static func date(_ text: String) -> Date? {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let parts = text.split(separator: " ")
        guard text.utf8.count <= 40, parts.count == 6, parts[1].count == 2, parts[5] == "GMT",
            let month = months.firstIndex(of: String(parts[2]))
        else { return nil }
        let number = month < 9 ? "0\(month + 1)" : "\(month + 1)"
        return Timestamp.parse("\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z")
    }
}

extension OIDCConfiguration.ClientAuthentication {
    /// What to do when the provider refuses a client that authenticates so.
    fileprivate var remedy: String {
        let rest = "; OIDC_CLIENT_AUTH must be as the provider has it for this client"
        return switch self {
        case .none: "correct OIDC_CLIENT_ID; if the client is confidential there, give OIDC_CLIENT_SECRET"
        case .basic, .post:
            "correct OIDC_CLIENT_ID and OIDC_CLIENT_SECRET; OIDC_CLIENT_AUTH (basic, post) must be as the "
                + "provider has it for this client"
        case .privateKeyJWT:
            "register the public key there: PUBLIC_URL/auth/jwks.json, or what `cloakroom keys generate --client` printed; "
                + "if it is there, try OIDC_CLIENT_ASSERTION_AUDIENCE=issuer\(rest)"
        case .assertion:
            "correct issuer, subject and audience of the assertion that the provider expects of this client\(rest)"
        case .tls: "register the certificate's subject at the provider, and trust its authority there\(rest)"
        }
    }
}
