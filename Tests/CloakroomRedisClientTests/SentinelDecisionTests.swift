import Logging
import NIOCore
import Testing

@testable import CloakroomRedisClient

@Suite struct SentinelDecisionTests {
    private let first = RedisEndpoint.tcp(host: "s1", port: 26_379)
    private let second = RedisEndpoint.tcp(host: "s2", port: 26_379)
    private let primary = RedisEndpoint.tcp(host: "10.0.0.1", port: 6379)

    private func bulk(_ text: String) -> RESPValue { .bulk(ByteBuffer(string: text)) }

    @Test("addresses: known, unknown, refused, and what is none")
    func addresses() {
        #expect(SentinelReply.address(.array([bulk("10.0.0.1"), bulk("6379")])) == .at(primary))
        #expect(SentinelReply.address(.null) == .unknown)
        let refusal = RedisServerError(message: "NOAUTH x")
        #expect(SentinelReply.address(.error(refusal)) == .refused(refusal))
        for reply: RESPValue in [
            .number(1), .array([]), .array([bulk("h")]), .array([bulk("h"), bulk("0")]),
            .array([bulk("h"), bulk("65536")]),
            .array([bulk(""), bulk("1")]), .array([bulk("a b"), bulk("1")]), .array([bulk("h"), bulk("x")]),
            .array([bulk(String(repeating: "h", count: 256)), bulk("1")]),
        ] { #expect(SentinelReply.address(reply) == .malformed) }
    }

    private func news(_ channel: String, _ text: String) -> SentinelNews? {
        SentinelNews([bulk("message"), bulk(channel), bulk(text)], primaryName: "mine")
    }

    @Test("a switch is heeded for our primary alone")
    func switches() {
        #expect(news("+switch-master", "mine 10.0.0.9 1 10.0.0.1 6379") == .switched(primary))
        #expect(news("+switch-master", "other 10.0.0.9 1 10.0.0.1 6379") == nil)
        #expect(news("+sdown", "mine 10.0.0.9 1 10.0.0.1 6379") == nil)
        #expect(news("+switch-master", "mine 10.0.0.9 1 10.0.0.1") == nil)
        #expect(news("+switch-master", "mine 10.0.0.9 1 10.0.0.1 0") == nil)
        #expect(SentinelNews([], primaryName: "mine") == nil)
        #expect(SentinelNews([bulk("subscribe"), bulk("+switch-master"), .number(1)], primaryName: "mine") == nil)
    }

    @Test("the steps of a failover are heeded for our primary alone")
    func steps() {
        let replica = "slave 10.0.0.1:6379 10.0.0.1 6379"
        for channel in ["+failover-state-send-slaveof-noone", "+promoted-slave"] {
            #expect(news(channel, "\(replica) @ mine 10.0.0.9 6379") == .candidate(primary))
            #expect(news(channel, "\(replica) @ other 10.0.0.9 6379") == nil)
            #expect(news(channel, "master 10.0.0.1:6379 10.0.0.1 6379 @ mine 10.0.0.9 6379") == nil)
            #expect(news(channel, "slave 10.0.0.1:0 10.0.0.1 0 @ mine 10.0.0.9 6379") == nil)
            #expect(news(channel, replica) == nil)
        }
        #expect(news("-failover-abort-slave-timeout", "master mine 10.0.0.9 6379") == .aborted)
        #expect(news("-failover-abort-slave-timeout", "master other 10.0.0.9 6379") == nil)
    }

    @Test("a promoted server is kept to against sentinels that have not heard, as long as it says so itself")
    func promotions() {
        let now = NIODeadline.now()
        var promotion = Promotion(of: primary, formerEpoch: 4, now: now)
        #expect(promotion.judge(epoch: 4, now: now) == .outdated)
        #expect(promotion.judge(epoch: 5, now: now) == .settled)
        #expect(promotion.judge(epoch: 4, now: now + Promotion.lifetime) == .settled, "not for ever")
        func holds(_ answer: Promotion.Answer, _ now: NIODeadline) -> Bool { promotion.holds(answer, now: now) }
        for _ in 0..<3 {
            for _ in 1..<Promotion.maximumFailures { #expect(holds(.unreachable, now)) }
            #expect(holds(.primary, now))
        }
        #expect(!holds(.replica, now))
        for _ in 1..<Promotion.maximumFailures { #expect(holds(.unreachable, now)) }
        #expect(!holds(.unreachable, now))
        #expect(!holds(.primary, now + Promotion.lifetime))
    }

    private func locator() throws -> SentinelLocator {
        let configuration = RedisClientConfiguration(url: try RedisURL("redis+sentinel://s1/mine"))
        let options = SideConnection.Options(
            resources: ConnectionResources(configuration: configuration, logger: Logger(label: "test")),
            clientName: "test", timeout: .milliseconds(100), limits: RESPLimits())
        return SentinelLocator(sentinels: [first], primaryName: "mine", options: options, serverOptions: options)
    }

    @Test("after a promotion, only a sentinel that knows of it or of something later moves the connections")
    func outdatedWord() throws {
        let old = RedisEndpoint.tcp(host: "10.0.0.9", port: 6379)
        let locator = try locator()
        locator.sent(to: old)
        #expect(!locator.heard(old, epoch: 4))
        #expect(locator.promoted(primary), "the connections are elsewhere")
        locator.sent(to: primary)
        #expect(!locator.promoted(primary), "announced later, known already")
        #expect(!locator.heard(old, epoch: 4), "it has not heard of it")
        #expect(!locator.heard(primary, epoch: 5))
        #expect(!locator.heard(old, epoch: 4), "another has known better")
        #expect(locator.heard(old, epoch: 6), "a failover back")
    }

    @Test("only a server that calls itself a primary is one")
    func roles() {
        #expect(throws: Never.self) {
            try SentinelReply.requirePrimary([.array([bulk("master"), .number(0), .array([])])])
        }
        for (replies, code): ([RESPValue], RedisClientError.Code) in [
            ([.array([bulk("slave")])], .notConnected), ([.array([])], .notConnected), ([.null], .notConnected),
            ([.error(RedisServerError(message: "NOPERM x"))], .handshakeRefused), ([], .protocolViolation),
        ] {
            let error = #expect(throws: RedisClientError.self) { try SentinelReply.requirePrimary(replies) }
            #expect(error?.code == code)
        }
    }

    @Test("the sentinel that answered comes first, one that misled last, and only so many are learned")
    func order() {
        var directory = SentinelDirectory([first, second])
        _ = directory.beginRound(primaryName: "p")
        directory.answered(second, epoch: 1, others: [first] + (0..<100).map { .tcp(host: "x\($0)", port: 1) })
        #expect(directory.sentinels.prefix(2) == [second, first])
        #expect(directory.sentinels.count == SentinelDirectory.maximumCount)
        directory.confirmed()
        var round = directory.beginRound(primaryName: "p")
        #expect(round.next() == second)
        round = directory.beginRound(primaryName: "p")
        #expect(round.next() == first, "the last answer was not confirmed")
    }

    @Test("why no sentinel tells: none reached, none knows, refused; the worst to put right counts")
    func failures() {
        var directory = SentinelDirectory([first, second])
        var round = directory.beginRound(primaryName: "p")
        round.failed(RedisClientError(.notConnected, reason: "connection refused"))
        #expect(round.failure.code == .notConnected && round.failure.reason.contains("no sentinel can be reached"))
        #expect(round.answered(.refused(RedisServerError(message: "NOAUTH x")), epoch: 0, by: first) == nil)
        #expect(round.failure.code == .handshakeRefused && round.failure.reason.contains("refuse"))
        #expect(round.answered(.unknown, epoch: 0, by: second) == nil)
        #expect(round.failure.code == .handshakeRefused && round.failure.reason.contains("do not know"))
    }

    @Test("a sentinel that has missed a failover is believed only when no other knows better")
    func epochs() {
        var directory = SentinelDirectory([first, second])
        #expect(directory.heard(epoch: 5) && !directory.heard(epoch: 4) && directory.heard(epoch: 5))
        var round = directory.beginRound(primaryName: "p")
        #expect(round.answered(.at(primary), epoch: 4, by: first) == nil)
        #expect(round.outdated?.primary == primary)
        #expect(round.answered(.at(primary), epoch: 5, by: second) == primary)
    }
}
