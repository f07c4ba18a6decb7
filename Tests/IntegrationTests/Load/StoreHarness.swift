import Cloakroom
import CloakroomRedis
import Logging
import TestSupport

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Runs `count` stores on one server, as so many replicas, and ends them afterwards.
func withStores<Result: Sendable>(
    _ count: Int = 1, on server: RedisServer, url: String? = nil, prefix: String = "session:",
    policy: SessionPolicy = SessionPolicy(), timeout: Duration = .seconds(5), logger: Logger = silent,
    _ body: @Sendable ([RedisSessionStore]) async throws -> Result
) async throws -> Result {
    let url = try RedisURL(url ?? server.url)
    let configuration = RedisStoreConfiguration(url: url, keyPrefix: prefix, commandTimeout: timeout)
    return try await withStores(
        Array(repeating: configuration, count: count), policy: policy, logger: logger, body)
}

/// Runs a store of each configuration and ends them afterwards.
func withStores<Result: Sendable>(
    _ configurations: [RedisStoreConfiguration], policy: SessionPolicy = SessionPolicy(), logger: Logger = silent,
    _ body: @Sendable ([RedisSessionStore]) async throws -> Result
) async throws -> Result {
    let stores = configurations.map { RedisSessionStore(configuration: $0, policy: policy, logger: logger) }
    return try await withThrowingTaskGroup(of: Void.self) { group in
        for store in stores { group.addTask { try await store.run() } }
        let result = try await body(stores)
        group.cancelAll()
        return result
    }
}

extension TokenSet {
    static func sample(_ name: String = "first") -> TokenSet {
        TokenSet(
            accessToken: "access-\(name)", refreshToken: "refresh-\(name)", idToken: "id-\(name)", expiresIn: 300,
            refreshExpiresIn: 1800)
    }
}

extension UserInfo {
    static let jane = UserInfo(
        subject: "248289761001", email: "jane@example.com", name: "Jane Doe", preferredUsername: "jane")
}

/// Reads until every store has every session in its near cache.
func warm(_ stores: [RedisSessionStore], _ ids: [SessionID]) async throws {
    for store in stores {
        try await eventually("the near cache is warm") {
            for id in ids { _ = try await store.session(for: id) }
            return store.nearCacheUsage.entries >= ids.count
        }
    }
}
