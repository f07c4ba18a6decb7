import Cloakroom
import CloakroomRedis
import Foundation
import Synchronization
import Testing

extension Integration {
    /// A primary that turns read-only while it is alive, under creates that no replica confirms.
    /// `CLOAKROOM_FAILOVER_ROUNDS` sets how often; 2 by default.
    @Suite struct DemotionTests {
        private struct Ledger {
            var ids: [SessionID] = []
            var refused = 0
            var uncertain = 0
            var isOver = false
        }

        private final class SharedLedger: Sendable {
            let state = Mutex(Ledger())
        }

        @Test(
            "R42: a primary that is read-only for a moment refuses no login and leaves no session that nobody was given"
        )
        func readOnlyForAMoment() async throws {
            let rounds = ProcessInfo.processInfo.environment["CLOAKROOM_FAILOVER_ROUNDS"].flatMap { Int($0) } ?? 2
            try await SentinelServers.run { servers in
                let configuration = RedisStoreConfiguration(
                    url: try RedisURL(servers.url), commandTimeout: .seconds(5))
                try await withStores([configuration, configuration]) { stores in
                    let ledger = SharedLedger()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for task in 0..<12 {
                            let store = stores[task % stores.count]
                            group.addTask {
                                while !ledger.state.withLock({ $0.isOver }) {
                                    do {
                                        let id = try await store.createSession(
                                            tokens: .sample(), userInfo: UserInfo(subject: "user-\(task)"))
                                        ledger.state.withLock { $0.ids.append(id) }
                                    } catch let error as SessionStoreError {
                                        ledger.state.withLock { ledger in
                                            ledger.refused += 1
                                            if !error.isOutcomeKnown { ledger.uncertain += 1 }
                                        }
                                    }
                                    try await Task.sleep(for: .milliseconds(2))
                                }
                            }
                        }
                        defer { ledger.state.withLock { $0.isOver = true } }
                        let primary = try servers.primary()
                        for _ in 0..<rounds {
                            let start = ledger.state.withLock { $0.ids.count }
                            try await eventually("the load goes on", within: .seconds(20)) {
                                ledger.state.withLock { $0.ids.count } > start + 200
                            }
                            // Nobody is there to copy from: it keeps what it has.
                            _ = try primary.cli("REPLICAOF", "127.0.0.1", "1")
                            let stopped = Date()
                            try await eventually("a while has passed") { Date().timeIntervalSince(stopped) > 0.3 }
                            _ = try primary.cli("REPLICAOF", "NO", "ONE")
                        }
                        let start = ledger.state.withLock { $0.ids.count }
                        try await eventually("the load goes on", within: .seconds(20)) {
                            ledger.state.withLock { $0.ids.count } > start + 200
                        }
                        ledger.state.withLock { $0.isOver = true }
                        try await group.waitForAll()
                    }
                    let result = ledger.state.withLock { $0 }
                    var lost = 0
                    for id in result.ids where try await stores[0].session(for: id) == nil { lost += 1 }
                    let keys = try servers.primary().cli("--scan", "--pattern", "session:*")
                        .split(separator: "\n").count
                    report(
                        "\(rounds) demotions: \(result.ids.count) creates acknowledged, \(lost) lost, "
                            + "\(result.refused) refused, \(result.uncertain) uncertain, \(keys) sessions in Redis")
                    #expect(lost == 0)
                    #expect(result.refused == 0)
                    #expect(keys == result.ids.count)
                }
            }
        }
    }
}
