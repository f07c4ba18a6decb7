import CloakroomRedisClient
import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite struct ClusterTests {
        private func errorCount(_ code: String, on node: ServerProcess) throws -> Int {
            let lines = try node.cli("INFO", "errorstats").split(whereSeparator: \.isNewline)
            let line = lines.first { $0.hasPrefix("errorstat_\(code):count=") }
            return line.flatMap { Int($0.drop { $0 != "=" }.dropFirst().prefix { $0.isNumber }) } ?? 0
        }

        @Test("keys of all slots, pipelines over all nodes in order, a write with WAIT, and a handle for each primary")
        func allSlots() async throws {
            try await ClusterServers.run { cluster in
                try await withRedisClient(cluster.url) { client in
                    let keys = (0..<3000).map { "key-\($0)" }
                    #expect(client.isCluster && !client.sameSlot(keys) && client.sameSlot(["{a}1", "{a}2"]))
                    #expect(client.slot(of: "{a}1") == Int(try cluster.nodes[0].cli("CLUSTER", "KEYSLOT", "{a}1")))
                    let writes = try await client.send(
                        pipeline: keys.map { .set($0, .text("value of \($0)"), milliseconds: 600_000) })
                    #expect(writes.allSatisfy { $0 == .simpleString("OK") })
                    var commands: [RedisCommand] = keys.map { .get($0) }
                    commands.insert(.ping, at: 1500)
                    let reads = try await client.send(pipeline: commands)
                    var expected = keys.map { Optional("value of \($0)") }
                    expected.insert("PONG", at: 1500)
                    #expect(reads.map { text($0) } == expected)
                    for key in keys.prefix(100) { #expect(text(try await client.send(.get(key))) == "value of \(key)") }

                    let durable = try await client.send(contiguous: [
                        .set("key-1", .text("durable"), milliseconds: 600_000), .wait(replicas: 1, milliseconds: 5000),
                    ])
                    #expect(durable == [.simpleString("OK"), .number(1)])

                    let primaries = try await client.primaries()
                    #expect(
                        Set(primaries.map(\.id)) == Set(try cluster.primaries().map { "127.0.0.1:\($0.port)" }))
                    var total = 0
                    for primary in primaries {
                        guard case .number(let count) = try await primary.send(.keyCount) else { continue }
                        #expect(count > 500)
                        total += Int(count)
                    }
                    #expect(total == keys.count)
                    // Keys of different slots in one command are the caller's mistake, and its error.
                    await #expect(throws: RedisServerError.self) { try await client.send(.unlink(["key-1", "key-2"])) }
                }
            }
        }

        @Test("ASK, TRYAGAIN and MOVED of a slot that moves: no caller sees any of them")
        func redirections() async throws {
            try await ClusterServers.run { cluster in
                try await withRedisClient(cluster.url) { client in
                    let (first, second, third) = ("{move}1", "{move}2", "{move}3")
                    let slot = client.slot(of: first)
                    for key in [first, second] {
                        _ = try await client.send(.set(key, .text(key), milliseconds: 600_000))
                    }
                    let source = try cluster.owner(of: slot)
                    let target = try #require(try cluster.primaries().first { $0.port != source.port })
                    try cluster.beginMove(of: slot, from: source, to: target)
                    try cluster.move([first], from: source, to: target)

                    #expect(text(try await client.send(.get(first))) == first)
                    #expect(text(try await client.send(.get(second))) == second)
                    _ = try await client.send(.set(third, .text(third), milliseconds: 600_000))
                    let replies = try await client.send(pipeline: [
                        .get(first), .get("elsewhere"), .get(second), .get(third),
                    ])
                    #expect(replies.map { text($0) } == [first, nil, second, third])
                    let together = try await client.send(contiguous: [
                        .set(third, .text("new"), milliseconds: 600_000), .get(third), .ping,
                    ])
                    #expect(together.map { text($0) } == ["OK", "new", "PONG"])
                    #expect(try errorCount("ASK", on: source) >= 5)
                    #expect(try errorCount("MOVED", on: source) == 0)

                    // One key is here and the other there: to be tried again until both are there.
                    async let both = client.send(.get([first, second]))
                    try await eventually("a node says TRYAGAIN") {
                        try errorCount("TRYAGAIN", on: source) + errorCount("TRYAGAIN", on: target) > 2
                    }
                    try cluster.endMove(of: slot, from: source, to: target)
                    guard case .array(let values) = try await both else { throw Failure("MGET answers no array") }
                    #expect(values.map { text($0) } == [first, second])

                    #expect(text(try await client.send(.get(second))) == second)
                    #expect(try errorCount("MOVED", on: source) > 0)
                    let moved = try errorCount("MOVED", on: source)
                    for _ in 0..<100 { #expect(text(try await client.send(.get(first))) == first) }
                    #expect(try errorCount("MOVED", on: source) <= moved + 1, "the map was corrected")
                }
            }
        }

        @Test("slots move from node to node under load: no error, no wrong reply")
        func reshard() async throws {
            try await ClusterServers.run { cluster in
                try await withRedisClient(cluster.url, timeout: .seconds(15)) { client in
                    let load = TopologyLoad()
                    try await load.run(on: client) {
                        try await eventually("there is load") { load.successes > 1000 }
                        var primaries = try cluster.primaries()
                        for round in 0..<24 {
                            let slot = client.slot(of: load.key(round % load.taskCount, round))
                            let source = try cluster.owner(of: slot)
                            let target = try #require(primaries.first { $0.port != source.port })
                            try cluster.beginMove(of: slot, from: source, to: target)
                            try cluster.endMove(of: slot, from: source, to: target)
                            primaries.append(primaries.removeFirst())
                        }
                        let count = load.successes
                        try await eventually("the load goes on") { load.successes > count + 1000 }
                    }
                    #expect(load.wrongReplies == 0)
                    #expect(load.errors.isEmpty, "\(load.errors.values.first as Any)")
                    let redirections = try cluster.primaries().map {
                        try errorCount("ASK", on: $0) + errorCount("MOVED", on: $0)
                    }
                    #expect(redirections.reduce(0, +) > 10, "the load met the moves")
                }
            }
        }

        @Test("kill -9 of a primary under load: typed errors meanwhile, then its replica serves")
        func failover() async throws {
            try await ClusterServers.run { cluster in
                try await withRedisClient(cluster.url, timeout: .seconds(1)) { client in
                    let load = TopologyLoad()
                    try await load.run(on: client) {
                        try await eventually("there is load") { load.successes > 1000 }
                        #expect(load.errors.isEmpty)
                        let slot = client.slot(of: load.key(0, 0))
                        let old = try cluster.owner(of: slot)
                        let handle = try #require(
                            try await client.primaries().first { $0.id == "127.0.0.1:\(old.port)" })
                        old.kill()
                        let start = Date()
                        try await eventually("another node has the slot") {
                            ((try? cluster.owner(of: slot))?.port ?? old.port) != old.port
                        }
                        let switched = Date()
                        try await eventually("its keys can be written again") {
                            (try? await client.send(
                                .set(load.key(0, 0), .text("\(load.key(0, 0))=x"), milliseconds: 60_000)))
                                != nil
                        }
                        report(
                            "cluster: another node has the slots after \(milliseconds(since: start, to: switched)) ms, "
                                + "writes go on after further \(milliseconds(since: switched, to: Date())) ms")
                        #expect(Date().timeIntervalSince(switched) < 2)
                        try await eventually("the handle of the lost node fails") {
                            do {
                                _ = try await handle.send(.ping)
                                return false
                            } catch let error as RedisClientError {
                                return error.reason.contains("not a primary")
                            }
                        }
                        try await eventually("the cluster is whole") { try cluster.isWhole() }
                        try await load.runsWithoutErrors(for: 3000)
                    }
                    #expect(load.wrongReplies == 0)
                    for error in load.errors.values {
                        let isTyped =
                            [.notConnected, .timeout, .connectionLost].contains((error as? RedisClientError)?.code)
                            || (error as? RedisServerError)?.kind == .clusterDown
                        #expect(isTyped, "\(error)")
                    }
                }
            }
        }

        private func milliseconds(since start: Date, to end: Date) -> Int { Int(end.timeIntervalSince(start) * 1000) }

        @Test("a cluster that is down, one without slots, and a server that is none: errors of their own kind")
        func noCluster() async throws {
            try await ClusterServers.run(nodes: 3) { cluster in
                try await withRedisClient(cluster.url, timeout: .milliseconds(700)) { client in
                    let key = "k"
                    _ = try await client.send(.set(key, .text("v"), milliseconds: 600_000))
                    let lost = try #require(
                        try cluster.primaries().first { $0.port != (try cluster.owner(of: client.slot(of: key))).port })
                    lost.kill()
                    try await eventually("the nodes say CLUSTERDOWN") {
                        do {
                            _ = try await client.send(.get(key))
                            return false
                        } catch let error as RedisServerError {
                            return error.kind == .clusterDown
                        }
                    }
                    try lost.start()
                    try await eventually("it works again") { text((try? await client.send(.get(key))) ?? .null) == "v" }
                }
            }
            try await ClusterServers.run(nodes: 1, isJoined: false) { cluster in
                try await withRedisClient(cluster.url, timeout: .milliseconds(400)) { client in
                    try await eventually("the reason is that there are no slots") {
                        do {
                            _ = try await client.send(.get("k"))
                            return false
                        } catch let error as RedisClientError {
                            return error.code == .notConnected && error.reason.contains("no slots")
                        }
                    }
                }
            }
            try await RedisServer.run { server in
                try await withRedisClient("redis+cluster://127.0.0.1:\(server.port)", timeout: .milliseconds(400)) {
                    client in
                    try await eventually("the reason is that it is no cluster") {
                        do {
                            _ = try await client.send(.get("k"))
                            return false
                        } catch let error as RedisClientError {
                            return error.code == .handshakeRefused && error.reason.contains("not a node of a cluster")
                        }
                    }
                }
            }
        }
    }
}
