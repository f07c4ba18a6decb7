import Cloakroom
import CloakroomRedis
import CloakroomRedisClient
import Foundation
import Logging
import NIOCore

/// `RedisSessionStore`, as an app calls it, in each stored form.
struct RedisStoreBenchmark {
    let url: String
    private let logger = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }

    private func configuration(
        _ prefix: String, isSealed: Bool = false, isCompressed: Bool = false, nearCache: Bool = false
    ) throws -> RedisStoreConfiguration {
        var configuration = RedisStoreConfiguration(
            url: try CloakroomRedis.RedisURL(url), keyPrefix: "bench-\(prefix):session:", commandTimeout: .seconds(20))
        if isSealed { configuration.keyring = try SessionKeyring(SessionKeyring.generateKey()) }
        if isCompressed { configuration.compressionThreshold = 1024 }
        if !nearCache { configuration.nearCache = nil }
        return configuration
    }

    @discardableResult
    private func with<Result: Sendable>(
        _ configuration: RedisStoreConfiguration, _ body: @Sendable (RedisSessionStore) async throws -> Result
    ) async throws -> Result {
        try await withAll([configuration]) { try await body($0[0]) }
    }

    private func withAll<Result: Sendable>(
        _ configurations: [RedisStoreConfiguration], _ body: @Sendable ([RedisSessionStore]) async throws -> Result
    ) async throws -> Result {
        let stores = configurations.map { RedisSessionStore(configuration: $0, logger: logger) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for store in stores { group.addTask { try await store.run() } }
            let result = try await body(stores)
            group.cancelAll()
            return result
        }
    }

    private func create(_ count: Int, in store: RedisSessionStore) async throws -> [SessionID] {
        var ids: [SessionID] = []
        for number in 0..<count {
            ids.append(
                try await store.createSession(
                    tokens: SampleSession.tokens(number), userInfo: SampleSession.userInfo(number)))
        }
        return ids
    }

    /// Reads without the near cache, and creates, of each form; in turn, as the machine's speed drifts.
    func rates() async throws {
        let pipelined = try RedisBenchmarkProgram().rates(url: url).pipelined
        print("redis-benchmark GET -c 1 -P 64: \(pipelined.perSecond)")
        let forms = [
            ("plain", try configuration("plain")), ("sealed", try configuration("sealed", isSealed: true)),
            ("gzip", try configuration("gzip", isCompressed: true)),
            ("sealed and gzip", try configuration("both", isSealed: true, isCompressed: true)),
        ]
        // As many users as creates in a second, so that a user has few sessions, as in life.
        let samples = (0..<50_000).map { (SampleSession.tokens($0), SampleSession.userInfo($0)) }
        for (place, onEventLoops) in [("", false), (" on event loops", true)] {
            try await withAll(forms.map(\.1)) { stores in
                var ids: [[SessionID]] = []
                for store in stores { ids.append(try await create(1000, in: store)) }
                let sessions = ids
                let reads = try await inTurn(stores.count) { form in
                    let (store, ids) = (stores[form], sessions[form])
                    return try await rate(
                        tasks: 64, rounds: 1, seconds: 0.5, on: onEventLoops ? store.taskExecutors : []
                    ) { number in
                        guard try await store.session(for: ids[abs(number) % ids.count]) != nil else {
                            throw BenchmarkError.wrongReply
                        }
                    }
                }
                let creates = try await inTurn(stores.count) { form in
                    let store = stores[form]
                    let measured = try await rate(
                        tasks: 64, rounds: 1, seconds: 0.5, on: onEventLoops ? store.taskExecutors : []
                    ) { number in
                        let (tokens, userInfo) = samples[abs(number) % samples.count]
                        _ = try await store.createSession(tokens: tokens, userInfo: userInfo)
                    }
                    _ = try await store.deleteAllSessions()
                    return measured
                }
                for (form, (name, _)) in forms.enumerated() {
                    print(
                        "store, 64 tasks\(place), \(name): session(for:) uncached \(reads[form].perSecond) "
                            + "(\((reads[form] / reads[0]).ratio) of plain, \((reads[form] / pipelined).ratio) of redis-benchmark), "
                            + "create with index \(creates[form].perSecond)")
                }
            }
        }
        print("  (wanted: plain 60k/s or 0.3 of redis-benchmark; sealed 0.8 of plain; create with index 25k/s)")
    }

    /// Measures several things in turn, five times over, as the machine's speed drifts.
    ///
    /// - Returns: the median of each.
    private func inTurn(_ count: Int, _ measure: (_ number: Int) async throws -> Double) async throws -> [Double] {
        var figures = [[Double]](repeating: [], count: count)
        for _ in 0..<5 { for number in 0..<count { figures[number].append(try await measure(number)) } }
        return figures.map { $0.sorted()[$0.count / 2] }
    }

    /// Uncached reads of the sealed form and nothing else, for a profiler to look at.
    func sealedReads() async throws {
        try await with(try configuration("sealed", isSealed: true)) { store in
            let ids = try await create(1000, in: store)
            let reads = try await rate(tasks: 64, rounds: 5) { number in
                guard try await store.session(for: ids[abs(number) % ids.count]) != nil else {
                    throw BenchmarkError.wrongReply
                }
            }
            print("sealed reads, 64 tasks: \(reads.perSecond)")
        }
    }

    /// Creates of the plain form and nothing else, for a profiler to look at.
    func creates() async throws {
        let samples = (0..<50_000).map { (SampleSession.tokens($0), SampleSession.userInfo($0)) }
        try await with(try configuration("creates")) { store in
            let creates = try await rate(tasks: 64, rounds: 5) { number in
                let (tokens, userInfo) = samples[abs(number) % samples.count]
                _ = try await store.createSession(tokens: tokens, userInfo: userInfo)
            }
            print("create with index, 64 tasks: \(creates.perSecond)")
        }
    }

    /// What a session that the near cache has costs.
    func nearCache() async throws {
        for isSealed in [false, true] {
            try await with(try configuration("near", isSealed: isSealed, nearCache: true)) { store in
                let ids = try await create(1000, in: store)
                while store.nearCacheUsage.entries < ids.count {
                    for id in ids { _ = try await store.session(for: id) }
                }
                let hits = try await rate(tasks: 1, rounds: 5) { number in
                    guard try await store.session(for: ids[abs(number) % ids.count]) != nil else {
                        throw BenchmarkError.wrongReply
                    }
                }
                let both = try await rate(tasks: 2, rounds: 3) { number in
                    _ = try await store.session(for: ids[abs(number) % ids.count])
                }
                let samples = try await latencies(count: 200_000) { number in
                    _ = try await store.session(for: ids[number % ids.count])
                }
                print(
                    "near-cache hit, \(isSealed ? "sealed" : "plain"): one task \(hits.perSecond), two \(both.perSecond), "
                        + "median \(samples[samples.count / 2]) ns, p99 \(samples[samples.count * 99 / 100]) ns, clock included"
                        + "   (wanted: 2M/s, median under 1000 ns)")
                _ = try await store.deleteAllSessions()
            }
        }
    }

    /// What a session takes in Redis, by its own account, index and summary included.
    func bytes() async throws {
        let client = RedisClient(
            configuration: RedisClientConfiguration(url: try CloakroomRedisClient.RedisURL(url)), logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            var plain = 0.0
            for (name, isSealed, isCompressed) in [
                ("plain", false, false), ("sealed", true, false), ("gzip", false, true),
                ("sealed and gzip", true, true),
            ] {
                try await with(try configuration("bytes", isSealed: isSealed, isCompressed: isCompressed)) { store in
                    _ = try await create(200, in: store)
                }
                var sessions = 0
                var others = 0
                for key in try await keys(client, "bench-bytes:*") {
                    let usage = RedisCommand("MEMORY", [.text("USAGE"), .text(key)], isIdempotent: true)
                    guard case .number(let bytes) = try await client.send(usage) else {
                        throw BenchmarkError.wrongReply
                    }
                    if key.hasPrefix("bench-bytes:session:") { sessions += Int(bytes) } else { others += Int(bytes) }
                    _ = try await client.send(.unlink(key))
                }
                let total = Double(sessions + others) / 200
                if plain == 0 { plain = total }
                print(
                    "bytes in Redis per session, \(name): \(Int(total)) (session \(sessions / 200), index \(others / 200)); "
                        + "\((total / plain).ratio) of plain")
            }
            print("  (wanted: gzip 0.75 of plain)")
            client.shutDown()
        }
    }

    private func keys(_ client: RedisClient, _ pattern: String) async throws -> [String] {
        var found: Set<String> = []
        var cursor = "0"
        repeat {
            let reply = try await client.send(.scan(cursor: cursor, pattern: pattern, count: 1000))
            guard case .array(let parts) = reply, parts.count == 2, case .bulk(let next) = parts[0],
                case .array(let names) = parts[1]
            else { throw BenchmarkError.wrongReply }
            cursor = String(buffer: next)
            for case .bulk(let name) in names { found.insert(String(buffer: name)) }
        } while cursor != "0"
        return Array(found)
    }

    /// Among a million sessions: a user's list, count and revocation.
    func million() async throws {
        try await with(try configuration("million")) { store in
            let users = 200_000
            let samples = (0..<1000).map { SampleSession.tokens($0) }
            let start = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<64 {
                    group.addTask {
                        for number in stride(from: task, to: 1_000_000, by: 64) {
                            let info = SampleSession.userInfo(number % users, subject: "user-\(number % users)")
                            _ = try await store.createSession(tokens: samples[number % 1000], userInfo: info)
                        }
                    }
                }
                try await group.waitForAll()
            }
            print("1,000,000 sessions loaded in \((ContinuousClock.now - start) / .seconds(1)) s")
            let calls: [(String, (String) async throws -> Bool)] = [
                ("list", { try await store.sessions(ofUser: $0).count == 5 }),
                ("count", { try await store.sessionCount(ofUser: $0) == 5 }),
                ("revocation", { try await store.deleteSessions(ofUser: $0, except: nil) == 5 }),
            ]
            for (name, call) in calls {
                let samples = try await latencies(count: 500) { number in
                    guard try await call("user-\(number * 397)") else { throw BenchmarkError.wrongReply }
                }
                print(
                    "a user's \(name) (5 of 1,000,000): median \(samples[250] / 1000) µs, p99 \(samples[495] / 1000) µs, "
                        + "longest \(samples[499] / 1000) µs   (wanted: under 5000)")
            }
            let count = ContinuousClock.now
            let all = try await store.sessionCount()
            print("count of all \(all): \((ContinuousClock.now - count) / .seconds(1)) s")
        }
    }
}
