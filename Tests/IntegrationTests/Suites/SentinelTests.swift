import CloakroomRedisClient
import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite struct SentinelTests {
        /// The error of a ping, once it names `reason`. Until the first attempt to connect has ended, the reason is another.
        private func failure(_ client: RedisClient, naming reason: String) async throws -> RedisClientError {
            var last: RedisClientError?
            try await eventually("a ping fails with \(reason)") {
                do {
                    _ = try await client.send(.ping)
                    throw Failure("a ping succeeded")
                } catch let error as RedisClientError {
                    last = error
                    return error.reason.contains(reason)
                }
            }
            return try #require(last)
        }

        @Test(
            "the primary is found, a wrong name and unreachable sentinels are told apart, the password is for each apart"
        )
        func resolution() async throws {
            let options = SentinelServers.Options(password: "for-servers", sentinelPassword: "for-sentinels")
            try await SentinelServers.run(options) { servers in
                try await withRedisClient(servers.url, { $0.sentinelPassword = "for-sentinels" }) { client in
                    _ = try await client.send(.set("k", .text("v"), milliseconds: 60_000))
                    #expect(try servers.primary().cli("GET", "k") == "v")
                    let replies = try await client.send(contiguous: [
                        .set("k", .text("w"), milliseconds: 60_000), .wait(replicas: 2, milliseconds: 5000),
                    ])
                    #expect(replies == [.simpleString("OK"), .number(2)])
                    let primaries = try await client.primaries()
                    let port = try servers.primary().port
                    #expect(primaries.map(\.id) == ["127.0.0.1:\(port)"])
                    #expect(try await primaries[0].send(.keyCount) == .number(1))
                    #expect(!client.isCluster && client.sameSlot(["a", "b"]))
                }
                let short = Duration.milliseconds(400)
                try await withRedisClient(
                    servers.url(password: "for-servers", name: "other"), timeout: short,
                    { $0.sentinelPassword = "for-sentinels" }
                ) { client in
                    let error = try await failure(client, naming: "do not know a primary that is called other")
                    #expect(error.code == .handshakeRefused)
                }
                try await withRedisClient(servers.url, timeout: short) { client in
                    let error = try await failure(client, naming: "the sentinels refuse the connection")
                    #expect(error.code == .handshakeRefused && !error.reason.contains("for-"))
                }
                try await withRedisClient(servers.url, timeout: short, { $0.sentinelPassword = "wrong" }) { client in
                    let error = try await failure(client, naming: "wrong user name or password")
                    #expect(error.code == .handshakeRefused && error.reason.contains("sentinels refuse"))
                }
                try await withRedisClient(
                    servers.url(password: "wrong"), timeout: short, { $0.sentinelPassword = "for-sentinels" }
                ) { client in
                    let error = try await failure(client, naming: "wrong user name or password")
                    #expect(error.code == .handshakeRefused && !error.reason.contains("sentinel"))
                }
                servers.sentinels[0].kill()
                servers.sentinels[1].pause()
                try await withRedisClient(servers.url, { $0.sentinelPassword = "for-sentinels" }) { client in
                    let reply = try await client.send(.ping)
                    #expect(reply == .simpleString("PONG"), "one of three sentinels is enough")
                }
                for sentinel in servers.sentinels { sentinel.kill() }
                try await withRedisClient(servers.url, timeout: short) { client in
                    let error = try await failure(client, naming: "no sentinel can be reached")
                    #expect(error.code == .notConnected)
                }
            }
        }

        @Test("kill -9 of the primary under load: each reply is the caller's own, and all is well 1 s after the switch")
        func failover() async throws {
            try await SentinelServers.run { servers in
                try await withRedisClient(servers.url, timeout: .seconds(2)) { client in
                    let load = TopologyLoad()
                    try await load.run(on: client) {
                        try await eventually("there is load") { load.successes > 500 }
                        #expect(load.errors.isEmpty)
                        let old = try servers.primary()
                        old.kill()
                        load.mark()
                        try await eventually("a write succeeds again") { load.firstSuccessSinceMark != nil }
                        // The client may know before the sentinels say so.
                        try await eventually("the sentinels name another") { try servers.primary().port != old.port }
                        let new = try servers.primary()
                        var time: Date?
                        try await eventually("the switch is in the log") {
                            time = servers.timeOfSwitch(to: new)
                            return time != nil
                        }
                        let recovery = try #require(load.firstSuccessSinceMark).timeIntervalSince(try #require(time))
                        report("first write after Sentinel's switch: \(Int(recovery * 1000)) ms")
                        #expect(recovery <= 1)
                        let count = load.successes
                        try await eventually("the load goes on") { load.successes > count + 500 }
                        // What comes back is a replica soon, and is never used.
                        try old.start()
                        try await eventually("the old primary follows the new one") {
                            try old.cli("ROLE").hasPrefix("slave")
                        }
                        try await eventually("the load goes on") { load.successes > count + 1500 }
                    }
                    #expect(load.wrongReplies == 0)
                    #expect(load.errors.values.allSatisfy { $0 is RedisClientError })
                }
            }
        }

        @Test("a primary that is made a replica while it lives: writes move to the new one, and none fails as READONLY")
        func demotion() async throws {
            try await SentinelServers.run { servers in
                try await withRedisClient(servers.url, timeout: .seconds(10)) { client in
                    let load = TopologyLoad(taskCount: 4)
                    try await load.run(on: client) {
                        try await eventually("there is load") { load.successes > 200 }
                        let old = try servers.primary()
                        #expect(
                            try servers.sentinels[0].cli("SENTINEL", "FAILOVER", SentinelServers.primaryName) == "OK")
                        try await eventually("the old primary is a replica") { try old.cli("ROLE").hasPrefix("slave") }
                        let new = try servers.primary()
                        #expect(new.port != old.port)
                        let count = load.successes
                        try await eventually("the load goes on") { load.successes > count + 500 }
                        #expect(try await client.primaries().map(\.id) == ["127.0.0.1:\(new.port)"])
                    }
                    #expect(load.wrongReplies == 0)
                    #expect(
                        !load.errors.values.contains { $0 is RedisServerError }, "\(load.errors.values.first as Any)")
                }
            }
        }

        @Test("a replica that the sentinels name as primary: no write there, an error that says so, and back again")
        func readOnly() async throws {
            try await SentinelServers.run { servers in
                try await withRedisClient(servers.url, timeout: .milliseconds(500)) { client in
                    _ = try await client.send(.set("k", .text("v"), milliseconds: 60_000))
                    let (named, other) = (try servers.primary(), servers.servers[1])
                    try named.cli("REPLICAOF", "127.0.0.1", "\(other.port)")
                    let error = await #expect(throws: RedisClientError.self) {
                        try await client.send(.set("k", .text("w"), milliseconds: 60_000))
                    }
                    #expect(error?.code == .notConnected && error?.reason.contains("not a primary") == true)
                    try named.cli("REPLICAOF", "NO", "ONE")
                    try await eventually("writes succeed again") {
                        (try? await client.send(.set("k", .text("x"), milliseconds: 60_000))) != nil
                    }
                    #expect(try servers.primary().cli("GET", "k") == "x")
                }
            }
        }
    }
}

/// Prints a measured figure.
func report(_ line: String) {
    FileHandle.standardError.write(Data("    measured: \(line)\n".utf8))
}
