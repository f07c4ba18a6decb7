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

    @Test("a switch is heeded for our primary alone")
    func switches() {
        func heard(_ channel: String, _ text: String) -> RedisEndpoint? {
            SentinelReply.switched([bulk("message"), bulk(channel), bulk(text)], primaryName: "mine")
        }
        #expect(heard("+switch-master", "mine 10.0.0.9 1 10.0.0.1 6379") == primary)
        #expect(heard("+switch-master", "other 10.0.0.9 1 10.0.0.1 6379") == nil)
        #expect(heard("+sdown", "mine 10.0.0.9 1 10.0.0.1 6379") == nil)
        #expect(heard("+switch-master", "mine 10.0.0.9 1 10.0.0.1") == nil)
        #expect(heard("+switch-master", "mine 10.0.0.9 1 10.0.0.1 0") == nil)
        #expect(SentinelReply.switched([], primaryName: "mine") == nil)
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
