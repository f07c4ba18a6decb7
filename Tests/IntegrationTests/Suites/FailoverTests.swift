import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

extension Integration {
    /// What a store promises while primaries die. `CLOAKROOM_FAILOVER_ROUNDS` sets how often each kills; once by default.
    @Suite struct FailoverTests {
        private static let rounds =
            ProcessInfo.processInfo.environment["CLOAKROOM_FAILOVER_ROUNDS"].flatMap { Int($0) } ?? 1

        /// What a call may end with while a primary is away: an answer that was lost with it, or too few replicas. Not
        /// `rejected`: a server that is no primary any more is the store's to get round.
        private static let tolerated: Set<SessionStoreError.Code> = [.unavailable, .notReplicated]
        /// How many may end so each time: the tasks of the load wait for two calls each, reads included.
        private static let maximumErrors = 24

        private func withLoad(
            _ url: String, keys: @Sendable () throws -> Set<String>,
            _ body: @Sendable (SessionLoad) async throws -> Void
        ) async throws {
            // Longer than any switch takes: after so long without a connection calls fail at once, any number of them.
            var configuration = RedisStoreConfiguration(url: try RedisURL(url), commandTimeout: .seconds(10))
            configuration.waitReplicas = 1
            try await withStores([configuration, configuration]) { stores in
                let load = SessionLoad(stores: stores, tolerated: Self.tolerated)
                try await load.run { try await body(load) }
                try await load.settle(keys)
                let creates = load.creates
                report(
                    "\(load.acknowledged) acknowledged writes, \(load.problems.count) problems; creates: "
                        + "\(creates.acknowledged.count) acknowledged, \(creates.refused.count) refused, "
                        + "\(creates.uncertain.count) uncertain; all calls: \(load.errors)")
                #expect(load.problems.isEmpty)
                #expect(load.errors.count <= Self.maximumErrors * Self.rounds)
            }
        }

        private func grow(_ load: SessionLoad, by count: Int = 300) async throws {
            let start = load.acknowledged
            try await eventually("the load goes on", within: .seconds(40)) { load.acknowledged > start + count }
        }

        @Test(
            "R55: kill -9 of primaries behind Sentinel under load, writes confirmed by a replica: nothing acknowledged is lost"
        )
        func sentinel() async throws {
            try await SentinelServers.run { servers in
                try await withLoad(servers.url, keys: { try servers.sessionKeys() }) { load in
                    for round in 1...Self.rounds {
                        try await eventually("both replicas are in step", within: .seconds(40)) {
                            try servers.primary().cli("INFO", "replication")
                                .components(separatedBy: "state=online").count == 3
                        }
                        try await grow(load)
                        let old = try servers.primary()
                        old.kill()
                        try await eventually("the sentinels switch", within: .seconds(40)) {
                            try servers.primary().port != old.port
                        }
                        let switched = Date()
                        load.mark()
                        try await eventually("a write is acknowledged again", within: .seconds(40)) {
                            load.firstWriteSinceMark != nil
                        }
                        let recovery = try #require(load.firstWriteSinceMark).timeIntervalSince(switched)
                        report("round \(round): first acknowledged write \(Int(recovery * 1000)) ms after the switch")
                        #expect(recovery <= 1)
                        try old.start()
                        try await old.waitUntilReady()
                        try await grow(load)
                    }
                }
            }
        }

        @Test("R55: kill -9 of cluster nodes and a live reshard under load: nothing acknowledged is lost")
        func cluster() async throws {
            try await ClusterServers.run { servers in
                try await withLoad(servers.url, keys: { try servers.sessionKeys() }) { load in
                    for round in 1...Self.rounds {
                        try await eventually("every primary has its replica", within: .seconds(60)) {
                            let primaries = try servers.primaries()
                            return try primaries.count == 3
                                && primaries.allSatisfy {
                                    try $0.cli("INFO", "replication").contains("state=online")
                                } && servers.isWhole()
                        }
                        try await grow(load)
                        try reshard(servers, slots: 30)
                        let old = try servers.primaries()[round % 3]
                        let start = Date()
                        old.kill()
                        try await eventually("another has its slots", within: .seconds(60)) {
                            try servers.primaries().count == 3 && servers.isWhole()
                        }
                        try old.start()
                        try await old.waitUntilReady()
                        try await grow(load)
                        report("round \(round): whole again after \(Int(Date().timeIntervalSince(start) * 1000)) ms")
                    }
                }
            }
        }

        /// Moves slots from one primary to another, with whatever is in them, while they are used.
        private func reshard(_ servers: ClusterServers, slots: Int) throws {
            let primaries = try servers.primaries()
            let (source, target) = (primaries[0], primaries[1])
            for slot in try servers.ranges(of: source).flatMap(Array.init).shuffled().prefix(slots) {
                try servers.beginMove(of: slot, from: source, to: target)
                try servers.endMove(of: slot, from: source, to: target)
            }
        }
    }
}
