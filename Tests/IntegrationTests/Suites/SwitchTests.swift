import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

extension Integration {
    /// What becomes of logins while another server becomes the primary, in each way in which that can happen, with and
    /// without `WAIT`. `CLOAKROOM_FAILOVER_ROUNDS` sets how often each happens; once by default.
    @Suite struct SwitchTests {
        /// How the primary changes.
        enum Way: String, CaseIterable {
            /// It turns read-only for a moment while it lives, with nobody to copy from.
            case demoted
            /// An operator plans it: `SENTINEL FAILOVER`.
            case planned
            /// kill -9
            case killed
        }

        /// How many creates may end in a tolerated error each time: two of each task, as a new primary may have no replica
        /// for longer than one waits.
        private static let maximumErrors = 24

        private static let rounds =
            ProcessInfo.processInfo.environment["CLOAKROOM_FAILOVER_ROUNDS"].flatMap { Int($0) } ?? 1

        @Test(
            "R55: however the primary changes, no create that was refused leaves a session, and none is lost that Redis promises to keep"
        )
        func switches() async throws {
            // Side by side, as most of it is waiting for sentinels.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for waitReplicas in [0, 1] { group.addTask { try await self.switches(waitReplicas: waitReplicas) } }
                try await group.waitForAll()
            }
        }

        private func switches(waitReplicas: Int) async throws {
            try await SentinelServers.run { servers in
                for way in Way.allCases {
                    var configuration = RedisStoreConfiguration(
                        url: try RedisURL(servers.url), commandTimeout: .seconds(10))
                    configuration.waitReplicas = waitReplicas
                    try await inStep(servers)
                    try servers.primary().cli("FLUSHALL")
                    try await withStores([configuration, configuration]) { stores in
                        try await check(way, waitReplicas, servers, stores)
                    }
                }
            }
        }

        private func check(
            _ way: Way, _ waitReplicas: Int, _ servers: SentinelServers, _ stores: [RedisSessionStore]
        ) async throws {
            let ledger = CreateLedger(stores: stores, tolerated: waitReplicas > 0 ? [.notReplicated] : [])
            var kills: [Date] = []
            var gaps: [Int] = []
            try await ledger.run {
                for _ in 0..<Self.rounds {
                    try await inStep(servers)
                    try await ledger.grow()
                    let start = Date()
                    switch way {
                    case .demoted: try await demote(try servers.primary())
                    case .planned: try await failOver(servers)
                    case .killed:
                        let old = try servers.primary()
                        old.kill()
                        kills.append(Date())
                        try await eventually("the sentinels switch", within: .seconds(40)) {
                            try servers.primary().port != old.port
                        }
                        try await ledger.grow()
                        try old.start()
                        try await old.waitUntilReady()
                    }
                    try await ledger.grow()
                    gaps.append(ledger.longestGap(in: start...Date()))
                }
            }
            // The old primary copies the new one before all is counted.
            try await inStep(servers)
            let outcome = try await ledger.settle { try servers.sessionKeys() }
            // Redis promises nothing for what it had not sent to a replica yet.
            let ages = outcome.lost.map { lost in
                kills.map { $0.timeIntervalSince(lost.time) }.min { abs($0) < abs($1) } ?? .infinity
            }
            if way == .killed, !ages.isEmpty {
                report("lost, in ms before the kill: \(ages.map { Int($0 * 1000) }.sorted())")
            }
            report(
                "\(way.rawValue), WAIT \(waitReplicas), \(Self.rounds) times: \(outcome.acknowledged) creates "
                    + "acknowledged, \(outcome.lost.count) lost, \(outcome.refused) refused, \(outcome.uncertain) "
                    + "uncertain (\(outcome.errors)), longest wait \(gaps.max() ?? 0) ms (median "
                    + "\(gaps.sorted()[gaps.count / 2]) ms)")
            #expect(outcome.problems.isEmpty)
            #expect(outcome.errors.count <= Self.maximumErrors * Self.rounds)
            #expect(outcome.refused == 0)
            switch (way, waitReplicas) {
            case (.killed, 0): #expect(ages.allSatisfy { abs($0) < 0.2 }, "lost without a kill")
            case (.planned, 0):
                // What was still on its way to the replica that is promoted.
                #expect(outcome.lost.count <= outcome.acknowledged / 200)
            default: #expect(outcome.lost.isEmpty)
            }
        }

        @Test(
            "an operator's failover every 4 s, without WAIT and with it: acknowledged creates that are lost",
            .enabled(
                if: ProcessInfo.processInfo.environment["CLOAKROOM_FAILOVER_MEASURE"] != nil,
                "a measurement of some minutes: CLOAKROOM_FAILOVER_MEASURE=1"), arguments: [0, 1])
        func everyFourSeconds(waitReplicas: Int) async throws {
            let rounds = max(Self.rounds, 20)
            try await SentinelServers.run { servers in
                var configuration = RedisStoreConfiguration(
                    url: try RedisURL(servers.url), commandTimeout: .seconds(10))
                configuration.waitReplicas = waitReplicas
                try await withStores([configuration, configuration]) { stores in
                    let ledger = CreateLedger(stores: stores, tolerated: waitReplicas > 0 ? [.notReplicated] : [])
                    var gaps: [Int] = []
                    // The beginnings of the rounds, and whether in each all but the primary were replicas of it.
                    var starts: [Date] = []
                    var wereReplicas: [Bool] = []
                    try await ledger.run {
                        try await ledger.grow()
                        for _ in 0..<rounds {
                            let start = Date()
                            starts.append(start)
                            wereReplicas.append(
                                try servers.servers.count { try $0.cli("ROLE").hasPrefix("slave") } == 2)
                            var accepted = false
                            try await eventually("4 s have passed", within: .seconds(30)) {
                                // Refused while the last one is still under way.
                                if !accepted { accepted = try ask(servers) }
                                return accepted && Date().timeIntervalSince(start) > 4
                            }
                            gaps.append(ledger.longestGap(in: start...Date()))
                        }
                        try await ledger.grow()
                    }
                    try await inStep(servers)
                    let outcome = try await ledger.settle { try servers.sessionKeys() }
                    let sorted = gaps.sorted()
                    // What is acknowledged in the time before a failover is lost by it.
                    let lost = CreateLedger.counts(outcome.lost, between: [.distantPast] + starts + [.distantFuture])
                    report("lost before and in each round: \(lost); all others were replicas: \(wereReplicas)")
                    report(
                        "SENTINEL FAILOVER every 4 s, WAIT \(waitReplicas), \(rounds) times: \(outcome.acknowledged) "
                            + "creates acknowledged, \(outcome.lost.count) lost, \(outcome.refused) refused, "
                            + "\(outcome.uncertain) uncertain (\(outcome.errors)); time without an answer: median "
                            + "\(sorted[rounds / 2]) ms, longest \(sorted[rounds - 1]) ms, each: \(gaps)")
                    #expect(outcome.problems.isEmpty)
                    #expect(outcome.errors.count <= Self.maximumErrors * rounds)
                    #expect(outcome.lost.count <= (waitReplicas > 0 ? 0 : outcome.acknowledged / 100))
                }
            }
        }

        // MARK: Steps

        private func inStep(_ servers: SentinelServers) async throws {
            try await eventually("both replicas are in step", within: .seconds(60)) {
                try servers.primary().cli("INFO", "replication").components(separatedBy: "state=online").count == 3
            }
        }

        private func demote(_ primary: ServerProcess) async throws {
            // Nobody is there to copy from: it keeps what it has.
            try primary.cli("REPLICAOF", "127.0.0.1", "1")
            let stopped = Date()
            try await eventually("a while has passed") { Date().timeIntervalSince(stopped) > 0.3 }
            try primary.cli("REPLICAOF", "NO", "ONE")
        }

        private func ask(_ servers: SentinelServers) throws -> Bool {
            try servers.sentinels[0].cli("SENTINEL", "FAILOVER", SentinelServers.primaryName) == "OK"
        }

        private func failOver(_ servers: SentinelServers) async throws {
            let old = try servers.primary()
            var asked = Date.distantPast
            try await eventually("the sentinels switch", within: .seconds(60)) {
                // Refused while they are busy, and given up when a replica does not answer in time.
                if Date().timeIntervalSince(asked) > 10, try ask(servers) { asked = Date() }
                return try servers.primary().port != old.port
            }
        }
    }
}
