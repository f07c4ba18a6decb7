import Cloakroom
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
            ids.append(
                try await store.createSession(
                    tokens: SampleSession.tokens(number), userInfo: SampleSession.userInfo(number)))
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

    private func residentBytes() -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
            let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
