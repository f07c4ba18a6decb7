import AsyncHTTPClient
import CloakroomGateway
import CloakroomHTTP
import CloakroomOIDC
import CloakroomRedis
import Foundation
import Logging

/// Looks at all that settings name, at once, within a time that is bounded whatever does not answer.
struct Examination: Sendable {
    /// For a connection to Redis, or one command: a little longer than one attempt to connect takes.
    private static let patience = Duration.seconds(3)
    /// For each of the parts that are looked at side by side.
    private static let deadline = Duration.seconds(9)
    /// For what comes after them.
    private static let sessionDeadline = Duration.seconds(4)

    let settings: GatewaySettings
    let publicURL: PublicURL
    let isReadOnly: Bool
    let withSecurity: Bool
    private let primary: RedisStoreConfiguration
    private let secondary: RedisStoreConfiguration?
    private let credentials: ClientCredentials

    init(settings: GatewaySettings, isReadOnly: Bool, withSecurity: Bool) throws {
        self.settings = settings
        self.isReadOnly = isReadOnly
        self.withSecurity = withSecurity
        let factory = StoreFactory(settings: settings, logger: Self.silent)
        primary = try factory.primary()
        secondary = try factory.secondary()
        credentials = ClientCredentials(try settings.clientProof.read())
        guard let publicURL = PublicURL(settings.effectivePublicURL) else {
            preconditionFailure("settings that were read have a public URL")
        }
        self.publicURL = publicURL
    }

    /// Whether there is a Redis that these settings use now, or will when the gateway stops.
    private var hasRedis: Bool { settings.effectiveStore != .memory || settings.redis.isURLGiven }

    func run(into report: inout CheckReport) async throws {
        let client = HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: PublicURLCheck.httpClientConfiguration())
        let provider = HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: ProviderCheck.httpClientConfiguration())
        await run(into: &report, client: client, provider: provider)
        // Nothing waits for connections that do not end.
        try? await client.shutdown()
        try? await provider.shutdown()
    }

    private func run(into report: inout CheckReport, client: HTTPClient, provider: HTTPClient) async {
        let gateways = PublicURLCheck(settings: settings, publicURL: publicURL, client: client)
        let providerCheck = ProviderCheck(
            configuration: settings.oidcConfiguration(publicURL.origin, credentials), httpClient: provider,
            timeout: Self.deadline / 3, logger: Self.silent)
        async let redis = examine(hasRedis ? primary : nil)
        async let second = examine(secondary)
        async let providerHealth = providerCheck.run()
        async let found = gateways.run()
        async let guarded = redisSecurity()
        async let upstream = upstreamLine(client)

        report.checks += storeLines
        let first = await redis
        if let first { report.add(first.health.items, part: "redis") }
        if let second = await second { report.add(second.health.items, part: "redis-secondary") }
        report.add(await providerHealth)
        if let line = await upstream { report.checks.append(line) }
        let findings = await found
        report.checks += findings.lines
        var comparison: ReplicaComparison?
        if let first, first.health["reachable"]?.status != .fail {
            let now = Date()
            let own = ReplicaRecord(settings, prefix: primary.keyPrefix, started: now, now: now)
            comparison = ReplicaComparison(
                own: own, database: primary.url.database, announced: first.replicas)
        }
        if findings.isReached { report.checks.append(await sessionLine(gateways, comparison)) }
        if let comparison {
            report.add(comparison.items, part: "replicas")
            if findings.isReached { report.checks.append(strangers(findings.replicas, comparison)) }
        }
        if withSecurity {
            report.checks += SecurityCheck(settings: settings, publicURL: publicURL).lines
            report.add(await guarded, part: "security")
        }
    }

    private func examine(_ configuration: RedisStoreConfiguration?) async -> RedisExamination? {
        guard let configuration else { return nil }
        return await RedisHealth.examine(
            configuration, patience: Self.patience, isReadOnly: isReadOnly, deadline: Self.deadline, logger: Self.silent
        )
    }

    private func upstreamLine(_ client: HTTPClient) async -> CheckReport.Line? {
        guard let url = settings.upstreamURL else { return nil }
        return await UpstreamCheck(url: url, client: client).run()
    }

    /// The points have names of their own beside those that the settings tell.
    private func redisSecurity() async -> [RedisHealth.Item] {
        guard withSecurity else { return [] }
        guard hasRedis else { return [] }
        let items = await RedisSecurity.check(primary, deadline: Self.deadline, logger: Self.silent)
        return items.map { RedisHealth.Item("redis-\($0.name)", $0.status, $0.detail, remedy: $0.remedy) }
    }

    // MARK: Store

    private var storeLines: [CheckReport.Line] {
        guard settings.effectiveStore == .memory else { return plainSessions.map { [$0] } ?? [] }
        let end =
            settings.redis.isURLGiven
            ? "they move to REDIS_URL when this one stops, if it is not killed" : "they are lost when it stops"
        return [
            .init(
                part: "store", name: "kind", status: "warn",
                detail: "sessions are in memory: no other replica sees them, and \(end)",
                remedy: "set REDIS_ENABLED=true")
        ]
    }

    /// Whether who can write to Redis can plant a session there; `nil` where sessions are not sealed.
    private var plainSessions: CheckReport.Line? {
        guard settings.records.isSealing else { return nil }
        guard settings.records.acceptsPlain else {
            return .init(part: "store", name: "plain", status: "ok", detail: "plain sessions are refused")
        }
        return .init(
            part: "store", name: "plain", status: "warn",
            detail: "plain sessions are accepted: anyone who can write to Redis can plant one",
            remedy: "set SESSION_PLAIN=refuse once all replicas have sealed for SESSION_TIMEOUT")
    }

    // MARK: Gateways

    private func sessionLine(_ gateways: PublicURLCheck, _ comparison: ReplicaComparison?) async -> CheckReport.Line {
        func unknown(_ detail: String) -> CheckReport.Line {
            .init(part: "public-url", name: "session", status: "unknown", detail: detail)
        }
        guard settings.effectiveStore != .memory else { return unknown("can't be tried: sessions are in memory") }
        guard !isReadOnly else { return unknown("not tried: --read-only") }
        guard let comparison else { return unknown("can't be tried: see redis reachable") }
        return await withTaskGroup(of: CheckReport.Line?.self) { group in
            group.addTask { await gateways.trySession(in: primary, sharing: comparison, logger: Self.silent) }
            group.addTask {
                try? await Task.sleep(for: Self.sessionDeadline)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next().flatMap { $0 } ?? unknown("it took longer than \(Self.sessionDeadline)")
        }
    }

    /// Replicas that serve users and are not where these settings keep sessions.
    private func strangers(_ names: Set<String>, _ comparison: ReplicaComparison) -> CheckReport.Line {
        let strangers = names.subtracting(comparison.names)
        guard !strangers.isEmpty else {
            return .init(
                part: "replicas", name: "missing", status: names.isEmpty ? "unknown" : "ok",
                detail: names.isEmpty
                    ? "the replicas at \(publicURL) have no names (CLOAKROOM_REPLICA_NAME) to look for"
                    : "all that answer at \(publicURL) use this Redis")
        }
        let list = strangers.sorted().joined(separator: ", ")
        return .init(
            part: "replicas", name: "missing", status: "fail",
            detail: "\(list) \(strangers.count == 1 ? "answers" : "answer") at \(publicURL) and "
                + "\(strangers.count == 1 ? "does" : "do") not use this Redis",
            remedy: "set REDIS_ENABLED=true and the same REDIS_URL there; can it reach Redis? See its log")
    }

    /// What is to be said stands in the report.
    private static let silent = Logger(label: "cloakroom.check") { _ in SwiftLogNoOpLogHandler() }
}
