import NIOCore
import Testing

@testable import CloakroomRedisClient

@Suite struct ClusterDecisionTests {
    private let here = RedisEndpoint.tcp(host: "10.0.0.1", port: 7000)
    private let there = RedisEndpoint.tcp(host: "10.0.0.2", port: 7001)

    private func bulk(_ text: String) -> RESPValue { .bulk(ByteBuffer(string: text)) }

    @Test("the checksum is CRC16/XMODEM: known answers")
    func checksum() {
        for (text, expected) in [("123456789", UInt16(0x31C3)), ("", 0), ("A", 0x58E5)] {
            #expect(Array(text.utf8).withUnsafeBytes { HashSlot.checksum(of: $0) } == expected)
        }
        #expect(HashSlot.of("foo") == 12_182 && HashSlot.of("123456789") == 12_739)
    }

    @Test(
        "the hash tag is what stands in the first braces, if anything does",
        arguments: [
            ("{user1000}.following", "user1000"), ("foo{{bar}}zap", "{bar"), ("foo{bar}{zap}", "bar"), ("}{a}", "a"),
        ])
    func hashTags(_ key: String, _ tag: String) { #expect(HashSlot.of(key) == HashSlot.of(tag)) }

    @Test(
        "without something in the first braces the whole key is hashed",
        arguments: ["foo{}{bar}", "foo{bar", "foo}bar{"])
    func noHashTag(_ key: String) {
        let whole = Array(key.utf8).withUnsafeBytes { Int(HashSlot.checksum(of: $0)) % HashSlot.count }
        #expect(HashSlot.of(key) == whole)
        #expect(HashSlot.of(key) != HashSlot.of("bar"))
    }

    @Test("every builder names its key")
    func keys() {
        let slot = HashSlot.of("k")
        for command: RedisCommand in [
            .get("k"), .get(["k", "x"]), .set("k", .text("v"), milliseconds: 1), .getAndDelete("k"), .unlink("k"),
            .unlink(["k"]), .exists(["k"]), .expire("k", milliseconds: 1), .remainingMilliseconds("k"), .length("k"),
            .addToSortedSet("k", [(1, "m")]), .removeFromSortedSet("k", ["m"]),
            .rangeByScore("k", minimum: 0, limit: 1),
            .countOfSortedSet("k"), .setIfAbsent("k", .text("v"), milliseconds: 1),
            .evaluate(digest: "d", key: "k", [.text("x")], isIdempotent: true),
            .evaluate(source: "s", keys: ["k", "x"], [], isIdempotent: true),
        ] { #expect(command.slot == slot, "\(command)") }
        for command: RedisCommand in [
            .ping, .wait(replicas: 1, milliseconds: 1), .scan(cursor: "0", pattern: "k", count: 1), .info("server"),
            .evaluate(digest: "d", keys: [], [], isIdempotent: true), RedisCommand("X", key: 3, isIdempotent: true),
        ] { #expect(command.slot == nil, "\(command)") }
    }

    @Test("redirections: host, IPv6, the same host; and nothing from what is malformed")
    func redirections() {
        func target(_ message: String) -> RedisEndpoint? {
            RedisServerError(message: message).redirection?.endpoint(saidBy: here)
        }
        #expect(target("MOVED 3999 10.0.0.2:7001") == there)
        #expect(target("ASK 3999 ::1:7001") == .tcp(host: "::1", port: 7001))
        #expect(target("MOVED 3999 :7001") == .tcp(host: "10.0.0.1", port: 7001))
        for message in [
            "MOVED", "MOVED 3999", "MOVED 16384 h:1", "MOVED -1 h:1", "MOVED +1 h:1", "MOVED 1 h", "MOVED 1 h:0",
            "MOVED 1 h:65536", "MOVED 1 ?:7001", "MOVED 1 a/b:7001", "MOVED x h:1", "ASK  1 h:1",
            "MOVED 1 \(String(repeating: "h", count: 400)):1", "ERR MOVED 1 h:1",
        ] { #expect(target(message) == nil, "\(message)") }
    }

    @Test(
        "what was not carried out is sent elsewhere or later, whether it may be repeated or not",
        arguments: [true, false])
    func refusals(_ isIdempotent: Bool) {
        var attempt = ClusterAttempt(isIdempotent: isIdempotent)
        let moved = attempt.step(after: RedisServerError(message: "MOVED 5 10.0.0.2:7001"), from: here)
        #expect(moved == .init(target: .moved(there), wantsMap: true, movedSlot: 5))
        let ask = attempt.step(after: RedisServerError(message: "ASK 5 10.0.0.2:7001"), from: here)
        #expect(ask == .init(target: .ask(there)), "the map stays")
        let tryAgain = attempt.step(after: RedisServerError(message: "TRYAGAIN x"), from: here)
        #expect(tryAgain?.target == .owner && tryAgain?.wantsMap == false && (tryAgain?.delay ?? .zero) > .zero)
        let down = attempt.step(after: RedisServerError(message: "CLUSTERDOWN x"), from: here)
        #expect(down?.wantsMap == true && (down?.delay ?? .zero) > .zero)
        #expect(attempt.step(after: RedisServerError(message: "WRONGTYPE x"), from: here) == nil)
    }

    @Test("redirections without end are given up, and lost connections repeat only what may be repeated")
    func limits() {
        var circling = ClusterAttempt(isIdempotent: true)
        let error = RedisServerError(message: "MOVED 5 10.0.0.2:7001")
        for _ in 0..<ClusterAttempt.maximumRedirections { #expect(circling.step(after: error, from: here) != nil) }
        #expect(circling.step(after: error, from: here) == nil)

        let lost = RedisClientError(.connectionLost, reason: "")
        var once = ClusterAttempt(isIdempotent: false)
        #expect(once.step(after: lost, hasMoved: true) == nil)
        var often = ClusterAttempt(isIdempotent: true)
        for _ in 0..<ClusterAttempt.maximumLosses { #expect(often.step(after: lost, hasMoved: false) != nil) }
        #expect(often.step(after: lost, hasMoved: false) == nil)
        let refused = RedisClientError(.notConnected, reason: "")
        #expect(once.step(after: refused, hasMoved: false) == nil && once.step(after: refused, hasMoved: true) != nil)
        #expect(often.step(after: RedisClientError(.timeout, reason: ""), hasMoved: true) == nil)
    }

    private func slots(_ entries: (Int64, Int64, RESPValue, Int64)...) -> RESPValue {
        .array(entries.map { .array([.number($0.0), .number($0.1), .array([$0.2, .number($0.3)])]) })
    }

    private let unknown = RESPValue.error(RedisServerError(message: "ERR unknown subcommand"))

    @Test("CLUSTER SLOTS: hosts, the same host, one that the node does not know")
    func slotMap() throws {
        let reply = slots((0, 99, bulk("10.0.0.2"), 7001), (100, 199, .null, 7002), (200, 299, bulk("?"), 7003))
        let map = try SlotMap(shards: unknown, slots: reply, asked: here, isTLS: false)
        #expect(map.owner(of: 99) == there && map.owner(of: 100) == .tcp(host: "10.0.0.1", port: 7002))
        #expect(map.owner(of: 200) == nil && map.coveredCount == 200 && !map.isComplete)
        var moved = map
        moved.assign(5, to: here)
        #expect(map.hasLostSlots(to: moved) && !map.hasLostSlots(to: map) && moved.hasSlots(here))
    }

    private func shardNode(_ host: RESPValue, role: String, health: String = "online") -> RESPValue {
        .map([
            bulk("port"), .number(7001), bulk("tls-port"), .number(8001), bulk("ip"), bulk("10.0.0.9"),
            bulk("endpoint"),
            host, bulk("role"), bulk(role), bulk("health"), bulk(health),
        ])
    }

    @Test(
        "CLUSTER SHARDS: the living primary, the port for TLS, the address for an unknown name; gaps from CLUSTER SLOTS"
    )
    func shardMap() throws {
        let nodes = RESPValue.array([
            shardNode(bulk("dead"), role: "master", health: "fail"), shardNode(bulk("replica"), role: "replica"),
            shardNode(bulk("?"), role: "master"),
        ])
        let shards = RESPValue.array([.map([bulk("slots"), .array([.number(0), .number(9)]), bulk("nodes"), nodes])])
        let map = try SlotMap(
            shards: shards, slots: slots((0, 20, bulk("10.0.0.2"), 7001)), asked: here, isTLS: true)
        #expect(map.owner(of: 9) == .tcp(host: "10.0.0.9", port: 8001))
        #expect(map.owner(of: 10) == there)
        #expect(map.others.contains(.tcp(host: "replica", port: 8001)))
    }

    @Test("malformed maps are refused")
    func malformed() {
        for reply: RESPValue in [
            .null, .number(1), .array([.null]), .array([.array([.number(0)])]), slots((0, 16_384, bulk("h"), 1)),
            slots((-1, 5, bulk("h"), 1)), slots((6, 5, bulk("h"), 1)),
            .array([.array([.number(0), .number(1), .number(2)])]),
        ] {
            #expect(throws: SlotMap.Failure.malformed) {
                try SlotMap(shards: unknown, slots: reply, asked: here, isTLS: false)
            }
        }
        for reply: RESPValue in [
            .number(1), .array([.number(1)]), .array([.map([bulk("slots"), .array([.number(1)])])]),
        ] {
            #expect(throws: SlotMap.Failure.malformed) {
                try SlotMap(shards: reply, slots: .array([]), asked: here, isTLS: false)
            }
        }
        let disabled = RESPValue.error(RedisServerError(message: "ERR This instance has cluster support disabled"))
        #expect(throws: SlotMap.Failure.notCluster) {
            try SlotMap(shards: disabled, slots: disabled, asked: here, isTLS: false)
        }
    }

    @Test("the map is asked for now and then, soon when it is wanted, and ever less often when that brings nothing")
    func schedule() {
        var schedule = RefreshSchedule()
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
        #expect(schedule.isDue(now: start, isWanted: false))
        schedule.refreshed(now: start, wasWanted: false, hasChanged: true)
        #expect(!schedule.isDue(now: start + .seconds(14), isWanted: false))
        #expect(schedule.isDue(now: start + .seconds(15), isWanted: false))
        #expect(!schedule.isDue(now: start + .milliseconds(99), isWanted: true))
        #expect(schedule.isDue(now: start + .milliseconds(100), isWanted: true))
        schedule.refreshed(now: start, wasWanted: true, hasChanged: false)
        #expect(!schedule.isDue(now: start + .milliseconds(199), isWanted: true))
        for _ in 0..<20 { schedule.refreshed(now: start, wasWanted: true, hasChanged: false) }
        #expect(schedule.isDue(now: start + .milliseconds(400), isWanted: true))
    }
}
