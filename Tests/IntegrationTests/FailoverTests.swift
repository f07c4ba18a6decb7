import Cloakroom
import CloakroomRedis
import Foundation
import Testing

extension Integration {
    /// What a store promises while primaries die. `CLOAKROOM_FAILOVER_ROUNDS` sets how often each kills; once by default.
    @Suite struct FailoverTests {
        private static let rounds =
            ProcessInfo.processInfo.environment["CLOAKROOM_FAILOVER_ROUNDS"].flatMap { Int($0) } ?? 1

        private func withLoad(
            _ url: String, _ body: @Sendable (SessionLoad) async throws -> Void
        ) async throws {
            var configuration = RedisStoreConfiguration(url: try RedisURL(url))
            configuration.waitReplicas = 1
            try await withStores([configuration, configuration]) { stores in
                let load = SessionLoad(stores: stores)
                try await load.run { try await body(load) }
                #expect(load.problems.isEmpty)
                report("\(load.acknowledged) acknowledged writes, \(load.problems.count) of them lost")
            }
        }

        private func grow(_ load: SessionLoad, by count: Int = 300) async throws {
            let start = load.acknowledged
            try await eventually("the load goes on", within: .seconds(40)) { load.acknowledged > start + count }
        }

        @Test(
            "R42: kill -9 of primaries behind Sentinel under load, writes confirmed by a replica: nothing acknowledged is lost"
        )
        func sentinel() async throws {
            try await SentinelServers.run { servers in
                try await withLoad(servers.url) { load in
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

        @Test("R42: kill -9 of cluster nodes and a live reshard under load: nothing acknowledged is lost")
        func cluster() async throws {
            try await ClusterServers.run { servers in
                try await withLoad(servers.url) { load in
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
