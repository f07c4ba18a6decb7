import AsyncHTTPClient
import Cloakroom
import CloakroomGateway
import CloakroomHTTP
import CloakroomOIDC
import CloakroomRedis
import Logging
import NIOCore
import NIOHTTP1

/// Asks the gateways as browsers do, at `PUBLIC_URL`, through whatever stands before them: whether they answer, begin
/// logins, and know a session that is in Redis.
struct PublicURLCheck: Sendable {
    private static let part = "public-url"
    /// Requests to meet several replicas behind a load balancer.
    private static let attempts = 12
    private static let timeout = TimeAmount.seconds(3)

    let settings: GatewaySettings
    let publicURL: PublicURL
    let client: HTTPClient

    private var cookies: CookieSettings { CookieSettings(publicURL: publicURL) }

    /// What the gateways answered.
    struct Findings: Sendable {
        var lines: [CheckReport.Line] = []
        /// Whether a gateway of ours answers there.
        var isReached = false
        /// The names of the replicas that answered, as far as they have names.
        var replicas: Set<String> = []
    }

    /// One connection for each request, so that each may meet another replica.
    static func httpClientConfiguration() -> HTTPClient.Configuration {
        var configuration = ProviderCheck.httpClientConfiguration()
        configuration.httpVersion = .http1Only
        return configuration
    }

    // MARK: Without a session

    func run() async -> Findings {
        var findings = Findings(lines: [cookieLine])
        let answers = await ask("/healthz", count: Self.attempts)
        findings.replicas = Set(answers.compactMap { try? $0.get().replica })
        guard let answer = answers.lazy.compactMap({ try? $0.get() }).first else {
            findings.lines.append(unreachable(answers))
            return findings
        }
        let failed = answers.count { (try? $0.get().status) != 200 }
        guard answer.body.contains(#""status":"ok""#) else {
            findings.lines.append(
                line(
                    "reachable", "warn", "\(publicURL)/healthz answers \(answer.status), and not as a gateway does",
                    "let the proxy at PUBLIC_URL pass all paths on to the gateways"))
            return findings
        }
        findings.isReached = true
        let names = findings.replicas.isEmpty ? "" : ": \(findings.replicas.sorted().joined(separator: ", "))"
        findings.lines.append(
            failed == 0
                ? line("reachable", "ok", "\(publicURL) answers\(names)")
                : line(
                    "reachable", "warn",
                    "\(failed) of \(answers.count) requests to \(publicURL)/healthz failed\(names)",
                    "see the proxy's log: it passes requests on to a replica that is down"))
        findings.lines.append(await loginLine())
        if settings.upstreamURL != nil { findings.lines.append(await guardLine()) }
        return findings
    }

    private func unreachable(_ answers: [Result<Answer, any Error>]) -> CheckReport.Line {
        var reason = "no answer"
        if case .failure(let error)? = answers.first { reason = HTTPFailure.describe(error) }
        if reason.contains("certificate") {
            return line(
                "reachable", "warn", "\(publicURL) can't be asked from here: \(reason)",
                "if browsers complain too, renew the certificate at the proxy, or the one in TLS_CERT_FILE")
        }
        return line(
            "reachable", "unknown", "\(publicURL) can't be asked from here (\(reason)): run check where browsers are")
    }

    private var cookieLine: CheckReport.Line {
        let name = cookies.sessionName
        if publicURL.isSecure {
            let end = settings.tls.certificateFile == nil ? "TLS ends at a proxy" : "TLS ends here (TLS_CERT_FILE)"
            return line("cookies", "ok", "\(name); Secure; HttpOnly; SameSite=Lax; \(end)")
        }
        let text = "\(name); HttpOnly; SameSite=Lax; without TLS, so for browsers on this machine alone"
        guard !LoopbackHost.contains(settings.host) else { return line("cookies", "ok", text) }
        return line(
            "cookies", "warn", text,
            "for browsers on other machines set PUBLIC_URL=https://…, with TLS at a proxy or by TLS_CERT_FILE")
    }

    /// Whether a login begins as these settings say, and its cookie arrives.
    private func loginLine() async -> CheckReport.Line {
        let answer: Answer
        switch await ask("/auth/login", count: 1)[0] {
        case .success(let found): answer = found
        case .failure(let error):
            return line(
                "login", "warn", "/auth/login can't be asked: \(HTTPFailure.describe(error))",
                "see the log of the gateways and of the proxy")
        }
        guard (300..<400).contains(answer.status), let location = answer.location else {
            let isStore = answer.body.contains("session_store_unavailable")
            return line(
                "login", answer.status == 503 ? "fail" : "warn",
                "/auth/login answers \(answer.status)"
                    + (isStore ? ": the gateways can't reach their store" : ""),
                "see the lines redis and identity-provider, and the log of the gateways")
        }
        let callback = "redirect_uri=" + PercentCoding.encode(publicURL.origin + AuthEndpoint.callback.path)
        guard location.contains(callback) else {
            return line(
                "login", "fail", "the gateways there send users back to another address than \(publicURL)",
                "set PUBLIC_URL on the gateways to the address in the browser")
        }
        guard answer.setCookies.contains(where: { $0.hasPrefix(cookies.loginName + "=") }) else {
            return line(
                "login", "fail", "/auth/login answers without its cookie: no login can be completed",
                "let the proxy or CDN pass Set-Cookie on, and not cache /auth/**")
        }
        return line("login", "ok", "a login begins, and its cookie arrives")
    }

    /// Whether the field that requests to `/api/**` must have arrives: with it a stranger gets 401, without it 403.
    private func guardLine() async -> CheckReport.Line {
        let answer: Answer
        switch await ask("/api/", count: 1)[0] {
        case .success(let found): answer = found
        case .failure(let error):
            return line(
                "csrf", "warn", "/api/ can't be asked: \(HTTPFailure.describe(error))",
                "see the log of the gateways and of the proxy")
        }
        switch answer.status {
        case 401: return line("csrf", "ok", "/api/** wants X-CSRF: 1 and pages of \(publicURL); the field arrives")
        case 403:
            return line(
                "csrf", "fail", "/api/ answers 403 to a request with X-CSRF: 1: the field is lost on the way",
                "let the proxy pass the field X-CSRF on")
        default:
            return line(
                "csrf", "warn", "/api/ answers \(answer.status) to a stranger, and not 401 as a gateway does",
                "let the proxy at PUBLIC_URL pass /api/** on to the gateways, not to the API itself")
        }
    }

    // MARK: With a session

    /// Makes a session in Redis, asks for it as its user would, and ends it.
    ///
    /// - Parameters:
    ///   - sharing: the replicas that have announced themselves where the session is made.
    func trySession(
        in configuration: RedisStoreConfiguration, sharing: ReplicaComparison, logger: Logger
    ) async -> CheckReport.Line {
        var configuration = configuration
        configuration.nearCache = nil
        configuration.connectionsPerNode = 1
        let policy = SessionPolicy(absoluteLifetime: .seconds(30), defaultIssuer: settings.oidcIssuer)
        let store = RedisSessionStore(configuration: configuration, policy: policy, logger: logger)
        let running = Task { try await store.run() }
        defer { running.cancel() }
        do {
            let id = try await store.createSession(
                NewSession(
                    tokens: TokenSet(accessToken: "cloakroom-check", expiresIn: 30),
                    userInfo: UserInfo(subject: "cloakroom-check", name: "cloakroom check")))
            let cookie = "\(cookies.sessionName)=\(id.secret)"
            let answers = await ask("/auth/me", count: Self.attempts, cookie: cookie).compactMap { try? $0.get() }
            let page = try? await ask("/", count: 1, cookie: cookie)[0].get()
            // Nobody needs to be told why.
            try? await SessionEndReason.elsewhere.around { try await store.deleteSession(id) }
            return judge(answers, page, sharing)
        } catch {
            return line("session", "unknown", "no session could be made to try: \(error)")
        }
    }

    private func judge(_ answers: [Answer], _ page: Answer?, _ sharing: ReplicaComparison) -> CheckReport.Line {
        let known = answers.filter { $0.status == 200 && $0.body.contains("cloakroom-check") }
        let refused = answers.filter { $0.status == 401 }
        guard !answers.isEmpty, known.count + refused.count == answers.count else {
            let others = Set(answers.map(\.status)).subtracting([200, 401]).sorted().map(String.init)
            return line(
                "session", "warn",
                "/auth/me with a session that is in Redis answers \(others.joined(separator: ", "))",
                "see the log of the gateways and of the proxy")
        }
        if refused.isEmpty {
            // What is a page for users at `/` has this form.
            if let page, page.status == 200, page.body.contains(#"id="login""#) {
                return line(
                    "session", "fail", "the session's cookie reaches /auth/me and is lost on the way to /",
                    "let the proxy or CDN pass the Cookie field on for all paths, and cache none of the gateways' answers"
                )
            }
            return line("session", "ok", "one that was made in this Redis is known to all that answered")
        }
        let strangers = Set(refused.compactMap(\.replica)).subtracting(known.compactMap(\.replica))
        if known.isEmpty, strangers.isSubset(of: sharing.names), !sharing.names.isEmpty, !sharing.hasMemory {
            return line(
                "session", "fail", "no replica sees the cookie of a session that is in the Redis that they use",
                "let the proxy or CDN pass the Cookie field on; REDIS_KEY_PREFIX and SESSION_KEYS must be as on the replicas"
            )
        }
        let who = strangers.isEmpty ? "some replicas do" : strangers.sorted().joined(separator: ", ") + " does"
        return line(
            "session", "fail",
            "\(who) not know a session that is in this Redis (\(refused.count) of \(answers.count) requests)",
            "on every replica: REDIS_ENABLED=true, the same REDIS_URL, REDIS_KEY_PREFIX and SESSION_KEYS; see its log: Using "
                + "RedisSessionStore (url=…)")
    }

    // MARK: Requests

    private struct Answer: Sendable {
        let status: Int
        let replica: String?
        let location: String?
        let setCookies: [String]
        let body: String
    }

    private func ask(_ path: String, count: Int, cookie: String? = nil) async -> [Result<Answer, any Error>] {
        await withTaskGroup(of: Result<Answer, any Error>.self) { group in
            for _ in 0..<count {
                group.addTask {
                    do {
                        return .success(try await ask(path, cookie: cookie))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func ask(_ path: String, cookie: String?) async throws -> Answer {
        var request = HTTPClientRequest(url: publicURL.origin + path)
        request.headers.add(name: "connection", value: "close")
        request.headers.add(name: "user-agent", value: "cloakroom-check")
        request.headers.add(name: "accept", value: path == "/" ? "text/html" : "application/json")
        if path.hasPrefix("/api") { request.headers.add(name: "x-csrf", value: "1") }
        if let cookie { request.headers.add(name: "cookie", value: cookie) }
        let response = try await client.execute(request, timeout: Self.timeout)
        let body = try await response.body.collect(upTo: 1 << 20)
        let replica = response.headers.first(name: "x-cloakroom-replica")
        return Answer(
            status: Int(response.status.code),
            replica: replica.flatMap { name in
                name.utf8.count <= 64 && name.utf8.allSatisfy { (0x20...0x7E).contains($0) } ? name : nil
            },
            location: response.headers.first(name: "location"), setCookies: response.headers["set-cookie"],
            body: String(buffer: body))
    }

    private func line(
        _ name: String, _ status: String, _ detail: String, _ remedy: String? = nil
    ) -> CheckReport.Line {
        CheckReport.Line(part: Self.part, name: name, status: status, detail: detail, remedy: remedy)
    }
}
