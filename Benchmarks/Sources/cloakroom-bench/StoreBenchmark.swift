import Cloakroom
import CloakroomRedis
import Foundation
import Logging

/// The stores, as an app calls them.
struct StoreBenchmark {
    static let sessionCount = 100_000
    private let logger = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }

    /// In memory: the latency of a read among 100,000 sessions, and what a session costs.
    func runInMemory() async throws {
        let before = residentBytes()
        let store = InMemorySessionStore(logger: logger)
        var ids: [SessionID] = []
        ids.reserveCapacity(Self.sessionCount)
        for number in 0..<Self.sessionCount {
            ids.append(try await store.createSession(tokens: Self.tokens(number), userInfo: Self.userInfo(number)))
        }
        let bytes = (residentBytes() - before) / Self.sessionCount
        let picked = (0..<200_000).map { _ in ids[Int.random(in: 0..<ids.count)] }
        let samples = try await latencies(count: picked.count) { number in
            guard try await store.session(for: picked[number]) != nil else { throw BenchmarkError.wrongReply }
        }
        let overall = try await rate(tasks: 2) { number in
            _ = try await store.session(for: picked[abs(number) % picked.count])
        }
        print(
            "in memory, \(Self.sessionCount) sessions of 2.7 KB: session(for:) median \(samples[samples.count / 2]) ns, "
                + "p99 \(samples[samples.count * 99 / 100]) ns   (wanted: median under 2000 ns)")
        print("in memory, 2 tasks: \(overall.perSecond);  \(bytes) bytes of resident memory per session")
    }

    /// Redis, plain form: reads with decoding, creates.
    func runRedis(url: String) async throws {
        let configuration = RedisStoreConfiguration(url: try RedisURL(url), keyPrefix: "bench:session:")
        let store = RedisSessionStore(configuration: configuration, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await store.run() }
            var ids: [SessionID] = []
            for number in 0..<1000 {
                ids.append(try await store.createSession(tokens: Self.tokens(number), userInfo: Self.userInfo(number)))
            }
            let known = ids
            let reads = try await rate(tasks: 64) { number in
                guard try await store.session(for: known[abs(number) % known.count]) != nil else {
                    throw BenchmarkError.wrongReply
                }
            }
            let creates = try await rate(tasks: 64, rounds: 3) { number in
                _ = try await store.createSession(tokens: Self.tokens(number), userInfo: Self.userInfo(number))
            }
            print("RedisSessionStore, 64 tasks: session(for:) \(reads.perSecond), createSession \(creates.perSecond)")
            group.cancelAll()
        }
    }

    /// Tokens of the size that Keycloak issues, about 2.7 KB in all; no two sets share storage.
    private static func tokens(_ number: Int) -> TokenSet {
        let filler = String(repeating: "c2Vzc2lvbg", count: 60)
        return TokenSet(
            accessToken: "\(number).\(filler)\(filler.prefix(500))", refreshToken: "\(number)-\(filler)",
            idToken: "\(number)_\(filler)\(filler.prefix(200))", expiresIn: 300, refreshExpiresIn: 1800)
    }

    private static func userInfo(_ number: Int) -> UserInfo {
        UserInfo(
            subject: "9f1c2c5e-7c1d-4b55-9d43-\(100_000_000_000 + number)", email: "user\(number)@example.com",
            name: "User Number \(number)", preferredUsername: "user\(number)")
    }

    private func residentBytes() -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
            let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
