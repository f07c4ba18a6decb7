import Testing

@testable import CloakroomRedisClient

/// What becomes of a group of commands that a server refused, and what an error says of the outcome.
@Suite struct GroupDecisionTests {
    private let set = RedisCommand.set("k", .text("v"), milliseconds: 1000)
    private let multi = RedisCommand("MULTI", isIdempotent: true)
    private let exec = RedisCommand("EXEC", isIdempotent: true)
    private let ok = RESPValue.simpleString("OK")
    private let queued = RESPValue.simpleString("QUEUED")

    private func error(_ message: String) -> RESPValue { .error(RedisServerError(message: message)) }

    @Test("a transaction that was refused in part of its commands or at its end was not carried out at all")
    func transactions() {
        let group = [multi, set, set, exec]
        let readOnly = error("READONLY You can't write against a read only replica.")
        let aborted = error("EXECABORT Transaction discarded because of previous errors.")
        let abortedAtTheEnd = error("EXECABORT Transaction discarded because of: READONLY You can't write against")
        #expect(GroupRefusal(group, [ok, readOnly, readOnly, aborted]) == .whole)
        #expect(GroupRefusal(group, [ok, queued, readOnly, aborted]) == .whole)
        #expect(GroupRefusal(group, [ok, queued, queued, abortedAtTheEnd]) == .whole)
        #expect(GroupRefusal(group, [ok, queued, queued, .array([ok, ok])]) == .none)
        #expect(GroupRefusal(group + [set], [ok, queued, queued, .array([ok, ok]), readOnly]) == .inPart)
        #expect(GroupRefusal([set, set], [ok, readOnly]) == .inPart)
        #expect(GroupRefusal([set, .wait(replicas: 1, milliseconds: 1)], [readOnly, .number(0)]) == .whole)
    }

    @Test("an aborted transaction has the kind of its cause, or its own")
    func abortKinds() {
        #expect(
            RedisServerError(message: "EXECABORT Transaction discarded because of: OOM command").kind == .outOfMemory)
        #expect(
            RedisServerError(message: "EXECABORT Transaction discarded because of previous errors.").kind
                == .transactionAborted)
        #expect(RedisServerError(message: "ERR wrong number of arguments").kind == .unspecified)
        #expect(RedisServerError(message: "ERR max number of clients reached").kind == .tooManyClients)
    }

    @Test(
        "what was never sent was certainly not carried out, and what was sent once may have been, whatever came later")
    func outcomes() {
        let codes: [RedisClientError.Code] = [
            .notConnected, .notSent, .timeout, .connectionLost, .handshakeRefused, .overloaded, .shutDown,
        ]
        for code in codes {
            let error = RedisClientError(code, reason: "x")
            #expect(error.ending(wasSent: false).isCertainlyNotCarriedOut)
            #expect(!error.ending(wasSent: true).isCertainlyNotCarriedOut)
        }
        #expect(RedisClientError(.handshakeRefused, reason: "x").ending(wasSent: false).code == .handshakeRefused)
    }
}
