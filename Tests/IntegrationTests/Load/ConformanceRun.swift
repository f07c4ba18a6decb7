import Cloakroom
import CloakroomRedis
import CloakroomTesting
import Logging
import ServiceLifecycle
import TestSupport
import Testing

/// Puts stores on real servers to the conformance suite.
enum ConformanceRun {
    /// Every promise of every protocol.
    static let checks =
        StoreConformance.checks + furtherChecks
    /// All but those of `SessionStore` itself.
    static let furtherChecks =
        StoreConformance.directoryChecks + StoreConformance.transferChecks + StoreConformance.leaseChecks
        + StoreConformance.endNoteChecks
        + StoreConformance.peekChecks

    /// Makes a store and a replica of it, and says what must run for them.
    typealias Maker =
        @Sendable (SessionPolicy, _ prefix: String) throws -> (stores: [any SessionStore], services: [any Service])

    /// Puts stores to checks on the same servers, each check under key prefixes of its own.
    ///
    /// - Parameter divisor: by what to divide the numbers of races, where another test does all of them on servers that
    ///   differ in nothing that matters to a race.
    static func conform(
        _ checks: [StoreConformance.Check] = checks, divisor: Int = 1,
        _ make: @escaping Maker
    ) async {
        await StoreConformance.$divisor.withValue(divisor) {
            await sideBySide(Array(checks.enumerated()), width: 6) { number, check in
                await run(check, prefix: "check-\(number):session:", make)
            }
        }
    }

    private static func run(
        _ check: StoreConformance.Check, prefix: String,
        _ make: @escaping Maker
    ) async {
        do {
            let outcome = try await check.run { policy in
                let (stores, services) = try make(policy, prefix)
                let running = services.map { service in Task { try await service.run() } }
                for store in stores { try await eventually("it connects") { (try? await store.ping()) != nil } }
                return ConformanceSubject(store: stores[0], replica: stores[1]) {
                    for task in running { task.cancel() }
                }
            }
            #expect(outcome == .passed, "\(check)")
        } catch {
            Issue.record("\(check): \(error)")
        }
    }

    /// Two replicas of a Redis store.
    static func conform(
        url: String, checks: [StoreConformance.Check] = checks, divisor: Int = 1,
        _ adjust: @escaping @Sendable (inout RedisStoreConfiguration) throws -> Void = { _ in }
    ) async throws {
        let parsed = try RedisURL(url)
        await conform(checks, divisor: divisor) { policy, prefix in
            let stores = try redisStores(parsed, prefix, policy, adjust)
            return (stores, stores)
        }
    }

    static func redisStores(
        _ url: RedisURL, _ prefix: String, _ policy: SessionPolicy,
        _ adjust: (inout RedisStoreConfiguration) throws -> Void = { _ in }
    ) throws -> [RedisSessionStore] {
        var configuration = RedisStoreConfiguration(url: url, keyPrefix: prefix, commandTimeout: .seconds(10))
        try adjust(&configuration)
        return (0..<2).map { _ in RedisSessionStore(configuration: configuration, policy: policy, logger: silent) }
    }
}
