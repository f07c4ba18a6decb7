public import AsyncHTTPClient
public import Cloakroom
import Crypto
public import Logging
import NIOCore
import Synchronization

/// The OpenID Connect relying party: authorization code flow with PKCE.
///
/// It keeps nothing of a login: what ``beginLogin()`` returns goes to a store of the caller's, so that any replica can
/// finish it. Discovery and keys are fetched when they are first needed, kept for an hour, and stay in use when the
/// provider can't be reached. No call takes longer than a few times ``OIDCConfiguration/requestTimeout``.
public final class RelyingParty: LoginProvider {
    /// The provider, as the configuration, its metadata and its ID tokens name it to the byte.
    public var issuer: String { configuration.issuer }

    let configuration: OIDCConfiguration
    let http: ProviderHTTP
    let metadata: CachedFetch<ProviderMetadata>
    let keys: CachedFetch<KeySet>
    let pushLine = PushLine()
    let logger: Logger

    /// Makes a relying party. Nothing is fetched until it is needed.
    ///
    /// - Parameters:
    ///   - configuration: the provider and this client's registration there.
    ///   - httpClient: what requests are made with. It must not follow redirects, or secrets could follow them to another
    ///     host: make it with ``httpClientConfiguration()``. It is not shut down here.
    ///   - logger: gets fetches at debug level, trouble with the provider at info level, and one warning when tokens
    ///     travel unencrypted.
    public convenience init(configuration: OIDCConfiguration, httpClient: HTTPClient, logger: Logger) {
        self.init(configuration: configuration, httpClient: httpClient, logger: logger, cacheTiming: CacheTiming())
    }

    package init(
        configuration: OIDCConfiguration, httpClient: HTTPClient, logger: Logger, cacheTiming: CacheTiming
    ) {
        let http = ProviderHTTP(
            client: httpClient, timeout: configuration.requestTimeout, tls: configuration.tlsConfiguration)
        let warning = PlainTransportWarning(configuration: configuration, logger: logger)
        let metadata = CachedFetch(timing: cacheTiming) { () async throws(OIDCError) in
            warning.giveOnce()
            return try await logged(logger, "metadata") { () async throws(OIDCError) in
                try EndpointPolicy.checkConfigured(configuration.issuer, name: "issuer")
                try EndpointPolicy.checkConfigured(configuration.metadataURL, name: "discovery URL")
                let document = try await http.document(
                    at: configuration.metadataURL, .discovery,
                    limit: ProviderMetadata.largestDocument)
                return try ProviderMetadata(document, configuration: configuration)
            }
        }
        self.keys = CachedFetch(timing: cacheTiming) { () async throws(OIDCError) in
            try await logged(logger, "key set") { () async throws(OIDCError) in
                let url = try await metadata.current().value.jwksURI
                return try KeySet(
                    await http.document(at: url, .keys, limit: KeySet.largestDocument))
            }
        }
        self.metadata = metadata
        self.configuration = configuration
        self.http = http
        self.logger = logger
    }

    /// A configuration for the HTTP client: redirects are not followed, connections are given up early.
    public static func httpClientConfiguration() -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(5)
        configuration.timeout.read = .seconds(10)
        // Shorter than servers commonly keep theirs: a token request must not meet one that is just closing.
        configuration.connectionPool.idleTimeout = .seconds(4)
        return configuration
    }

    /// Begins a login: fresh state, nonce and PKCE verifier, and the address to send the browser to
    /// (OpenID Connect Core §3.1.2.1, RFC 7636 §4.3).
    ///
    /// - Throws: `OIDCError` when the provider's metadata can't be had or is wrong.
    public func beginLogin() async throws(OIDCError) -> LoginRequest {
        let pending = PendingLogin(state: randomText(), nonce: randomText(), codeVerifier: randomText())
        return LoginRequest(authorizationURL: try await authorizationURL(for: pending), pending: pending)
    }

    /// Begins a login with secrets that the caller has made: at least 128 unguessable bits each, used for this login alone;
    /// the verifier has 43 to 128 characters of `A-Z a-z 0-9 - . _ ~`.
    ///
    /// - Throws: `OIDCError` when the provider's metadata can't be had or is wrong.
    public func authorizationURL(for pending: PendingLogin) async throws(OIDCError) -> String {
        try await authorizationURL(with: parameters(of: pending))
    }

    /// What an authorization request says.
    func parameters(of pending: PendingLogin) -> Parameters {
        [
            "response_type": "code",
            "client_id": configuration.clientID,
            "redirect_uri": configuration.redirectURI,
            "scope": configuration.scopeParameter,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": Self.codeChallenge(pending.codeVerifier),
            "code_challenge_method": "S256",
        ]
    }

    /// Where to send the browser so that the provider ends its session too (RP-Initiated Logout 1.0 §2).
    ///
    /// End the local session first, and leave the refresh token alone: the provider ends it.
    ///
    /// - Parameters:
    ///   - idToken: the session's ID token, which spares the user a question.
    ///   - state: comes back with the browser, unguessable; `nil` leaves it out. Without a post-logout redirect URI there
    ///     is nowhere to come back to, and it is left out as well.
    /// - Returns: `nil` if the provider has no such address.
    /// - Throws: `OIDCError` when the provider's metadata can't be had or is wrong.
    public func logoutURL(idToken: String?, state: String?) async throws(OIDCError) -> String? {
        guard let endpoint = try await metadata.current().value.endSessionEndpoint else { return nil }
        var parameters: Parameters = [:]
        if let idToken { parameters.append("id_token_hint", idToken) }
        parameters.append("client_id", configuration.clientID)
        if let redirectURI = configuration.postLogoutRedirectURI {
            parameters.append("post_logout_redirect_uri", redirectURI)
            if let state { parameters.append("state", state) }
        }
        return parameters.appended(to: endpoint)
    }

    /// Fetches discovery and keys, as a readiness check would. Copies at hand are good enough.
    ///
    /// - Throws: `OIDCError` when there are none and the provider can't be reached or is wrong.
    public func warmUp() async throws(OIDCError) {
        _ = try await metadata.current()
        _ = try await keys.current()
    }

    /// The S256 challenge of a verifier (RFC 7636 §4.2).
    static func codeChallenge(_ verifier: String) -> String {
        Base64URL.encode(Array(SHA256.hash(data: Array(verifier.utf8))))
    }
}

/// Fetches something of the provider's and notes in the log how that went.
private func logged<Value>(
    _ logger: Logger, _ what: String, _ fetch: () async throws(OIDCError) -> Value
) async throws(OIDCError) -> Value {
    do {
        let value = try await fetch()
        logger.debug("Fetched the OpenID provider's \(what)")
        return value
    } catch {
        logger.info("Fetching the OpenID provider's \(what) failed", metadata: ["error": "\(error)"])
        throw error
    }
}

/// Says once that tokens travel unencrypted.
private final class PlainTransportWarning: Sendable {
    private let message: Logger.Message?
    private let logger: Logger
    private let isGiven = Mutex(false)

    init(configuration: OIDCConfiguration, logger: Logger) {
        self.logger = logger
        message =
            if EndpointPolicy.isPlain(configuration.issuer) {
                "The OpenID issuer is http: tokens and secrets travel unencrypted. Use https outside of development."
            } else if EndpointPolicy.isPlain(configuration.metadataURL) {
                "OpenID discovery is fetched over http: whoever controls that network controls the login."
            } else {
                nil
            }
    }

    func giveOnce() {
        guard let message else { return }
        let isFirst = isGiven.withLock { isGiven in
            defer { isGiven = true }
            return !isGiven
        }
        if isFirst { logger.warning(message) }
    }
}
